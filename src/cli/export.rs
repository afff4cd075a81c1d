//! `gpu-mlp export`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::options::{LoadedModel, OutputOptions};
use crate::export::{npz, onnx, projector, word2vec};
use crate::model::Vectors;
use crate::report::output::grouped;
use crate::train::files::write_whole;
use crate::{Error, Result};

/// Writes a model for other programs: its vectors for gensim or a projector, all of it for ONNX or NumPy.
///
/// In the formats of lines, word2vec and projector, the end mark is called `</s>`; blanks, control characters and backslashes in
/// tokens are written \uXXXX with their code point, as in JSON. onnx and npz hold the tokens as a JSON list.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    #[command(flatten)]
    export: ExportOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// What is written, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Export")]
struct ExportOptions {
    /// The format
    #[arg(long, value_name = "F")]
    format: Format,

    /// The file to write; for projector what both names begin with [default: beside the model, named like it]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,

    /// Which vectors of the tokens word2vec and projector get
    #[arg(long, value_name = "WHICH", default_value = "input")]
    vectors: Vectors,

    /// Overwrite files that are there already
    #[arg(long)]
    force: bool,
}

/// A format of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// Vectors as the text of word2vec, which gensim loads
    Word2vec,
    /// Vectors and metadata as two TSV files for projector.tensorflow.org
    Projector,
    /// The network as a graph from token ids to log-probabilities
    Onnx,
    /// All tensors and the vocabulary for NumPy
    Npz,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp export runs/first --format onnx
  gpu-mlp export runs/first --format word2vec --vectors output --out letters.txt
  gpu-mlp export runs/words --format projector --out words";

/// Runs the command.
pub fn run(args: ExportArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Export {
        format: Format,
        files: Vec<String>,
        bytes: usize,
        load: String,
    }
    let output = args.output.output();
    let ExportOptions { format, out, vectors, force } = args.export;
    if vectors != Vectors::default() && matches!(format, Format::Onnx | Format::Npz) {
        return Err(Error::usage("--vectors: onnx and npz hold all tensors, so leave it out"));
    }
    let loaded = LoadedModel::read(&args.model)?;
    let (parameters, vocabulary) = (loaded.model.state.best(), &loaded.model.vocabulary);
    let chosen = || vectors.of(parameters).map_err(Error::Usage);
    let begin = out.clone().unwrap_or_else(|| loaded.file().with_extension(""));
    let ending = if vectors == Vectors::Output { "output." } else { "" };
    let paths: Vec<PathBuf> = match format {
        Format::Projector => {
            ["vectors", "metadata"].map(|part| with_ending(&begin, &format!("{ending}{part}.tsv"))).to_vec()
        }
        _ if out.is_some() => vec![begin],
        Format::Word2vec => vec![with_ending(&begin, &format!("{ending}word2vec.txt"))],
        Format::Onnx => vec![with_ending(&begin, "onnx")],
        Format::Npz => vec![with_ending(&begin, "npz")],
    };
    for path in &paths {
        refuse(path, loaded.file(), force)?;
    }
    let contents: Vec<Vec<u8>> = match format {
        Format::Word2vec => vec![word2vec::text(vocabulary, chosen()?).into_bytes()],
        Format::Projector => {
            vec![projector::vectors(chosen()?).into_bytes(), projector::metadata(vocabulary).into_bytes()]
        }
        Format::Onnx => {
            vec![onnx::bytes(parameters, vocabulary).map_err(|reason| Error::content(loaded.file(), reason))?]
        }
        Format::Npz => vec![npz::bytes(parameters, vocabulary)],
    };
    for (path, content) in paths.iter().zip(&contents) {
        write_whole(path, content)?;
        output.text(format!("wrote {} ({} bytes)", path.display(), grouped(content.len())))?;
    }
    let load = load(format, &paths[0]);
    output.message(format!("load:  {load}"));
    let files = paths.iter().map(|path| path.display().to_string()).collect();
    output.event("export", &Export { format, files, bytes: contents.iter().map(Vec::len).sum(), load })
}

/// A path with an ending after what it has.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Errors: a path that is a folder, the model itself, or a file that must not be overwritten.
fn refuse(path: &Path, model: &Path, force: bool) -> Result<()> {
    if path.is_dir() {
        return Err(Error::content(path, "is a folder: give the name of a file as --out"));
    }
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same(path, model) {
        return Err(Error::content(path, "is the model itself: give another --out"));
    }
    if path.exists() && !force {
        return Err(Error::content(
            path,
            "is there already and is not overwritten: add --force, or give another --out",
        ));
    }
    Ok(())
}

/// How the first file is loaded: a line of Python, or what to do on a page.
fn load(format: Format, path: &Path) -> String {
    let path = path.display().to_string();
    match format {
        Format::Word2vec => format!("gensim.models.KeyedVectors.load_word2vec_format({path:?})"),
        Format::Projector => "projector.tensorflow.org, Load: first the vectors, then the metadata".to_owned(),
        Format::Onnx => {
            let (input, output) = (onnx::INPUT, onnx::OUTPUT);
            format!("onnxruntime.InferenceSession({path:?}).run([{output:?}], {{{input:?}: ids}})  # int64 [batch, n]")
        }
        Format::Npz => {
            format!("model = numpy.load({path:?}); tokens = json.loads(model[{:?}].item())", npz::VOCABULARY)
        }
    }
}
