//! The bytes of a model file: safetensors under PyTorch's names, and one metadata entry with all else that sampling,
//! evaluation and resuming need. Reading and writing files is the business of `train::files`.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use super::shape::Shape;
use crate::engine::State;
use crate::text::Vocabulary;
use crate::train::{Progress, Settings};

/// The key of our entry in the metadata. One entry only: the order of several would differ from file to file.
const METADATA: &str = "gpu_mlp";
/// Version of the entry's layout.
const FORMAT: u32 = 2;

/// A trained network with everything that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// The parameters at `progress.step`; in a run's last state with all that the update rule carries.
    pub state: State,
    /// The tokens, by id.
    pub vocabulary: Vocabulary,
    /// How the run trains.
    pub settings: Settings,
    /// How far it is.
    pub progress: Progress,
    /// The version of the program that wrote the file.
    pub version: String,
}

#[derive(Serialize, Deserialize)]
struct Metadata<'a> {
    format: u32,
    version: Cow<'a, str>,
    shape: Shape,
    progress: Cow<'a, Progress>,
    settings: Cow<'a, Settings>,
    tokens: Cow<'a, [String]>,
}

struct TensorBytes {
    sizes: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for TensorBytes {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.sizes
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl ModelFile {
    /// The file's bytes: the same for the same content, on every machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        let metadata = Metadata {
            format: FORMAT,
            version: Cow::Borrowed(&self.version),
            shape: self.state.parameters.shape(),
            progress: Cow::Borrowed(&self.progress),
            settings: Cow::Borrowed(&self.settings),
            tokens: Cow::Borrowed(self.vocabulary.tokens()),
        };
        let metadata = serde_json::to_string(&metadata).expect("plain data becomes JSON");
        let carried = self.state.carried().into_iter().filter_map(|(prefix, of)| Some((format!("{prefix}."), of?)));
        let all = std::iter::once((String::new(), &self.state.parameters)).chain(carried);
        let tensors = all.flat_map(|(prefix, parameters)| {
            let tensors = parameters.tensors().map(move |(tensor, values)| {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (format!("{prefix}{}", tensor.name), TensorBytes { sizes: tensor.sizes, bytes })
            });
            tensors.collect::<Vec<_>>()
        });
        safetensors::serialize(tensors, Some(HashMap::from([(METADATA.to_owned(), metadata)])))
            .expect("distinct names and matching sizes")
    }

    /// Reads a file's bytes. An error says what does not fit, without the file's name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| not_a_model(bytes, &error))?;
        let entry = header.metadata().as_ref().and_then(|entries| entries.get(METADATA)).ok_or_else(|| {
            format!("a safetensors file, but not one of gpu-mlp: its metadata has no entry {METADATA:?}")
        })?;
        #[derive(Deserialize)]
        struct Version {
            format: u32,
            version: String,
        }
        let read = |error: serde_json::Error| format!("its metadata entry {METADATA:?} cannot be read: {error}");
        let Version { format, version } = serde_json::from_str(entry).map_err(read)?;
        if format != FORMAT {
            return Err(format!(
                "a model file of format {format}, written by gpu-mlp {version}; this is gpu-mlp {}, which reads format \
                 {FORMAT}: use the program that wrote it, or train again",
                env!("CARGO_PKG_VERSION")
            ));
        }
        let metadata: Metadata = serde_json::from_str(entry).map_err(read)?;
        let shape = metadata.shape;
        shape.check().map_err(|reason| format!("its header has an impossible shape: {reason}"))?;
        let settings = metadata.settings.into_owned();
        settings.check().map_err(|reason| format!("its header has an impossible setting: {reason}"))?;
        let vocabulary = Vocabulary::from_tokens(metadata.tokens.into_owned(), settings.kind())
            .map_err(|reason| format!("its header has a bad vocabulary: {reason}"))?;
        if vocabulary.len() != shape.vocabulary {
            return Err(format!(
                "its header lists {} tokens but says the vocabulary has {}",
                vocabulary.len(),
                shape.vocabulary
            ));
        }
        if settings.shape(shape.vocabulary) != shape {
            return Err("the settings and the shape in its header do not fit each other".to_owned());
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| not_a_model(bytes, &error))?;
        // A finished model has the parameters alone, a run's last state all that its recipe carries.
        let recipe = &settings.recipe;
        let carried = [
            ("velocity.", recipe.keeps_velocity()),
            ("squares.", recipe.keeps_squares()),
            ("average.", recipe.average > 0.0),
        ];
        let sets = 1 + carried.iter().filter(|(_, kept)| *kept).count();
        let found = tensors.len() / shape.tensors().len();
        if tensors.len() != found * shape.tensors().len() || (found != 1 && found != sets) {
            return Err(format!(
                "it holds {} tensors, but its shape has {}{}",
                tensors.len(),
                shape.tensors().len(),
                if sets > 1 {
                    format!(", or {} with the state of its update rule", sets * shape.tensors().len())
                } else {
                    String::new()
                }
            ));
        }
        let parameters = read_parameters(&tensors, shape, "")?;
        let [velocity, squares, average] = carried
            .map(|(prefix, kept)| (kept && found > 1).then(|| read_parameters(&tensors, shape, prefix)).transpose());
        let state = State { parameters, velocity: velocity?, squares: squares?, average: average? };
        Ok(ModelFile { state, vocabulary, settings, progress: metadata.progress.into_owned(), version })
    }
}

/// The tensors of a shape under names with a prefix.
fn read_parameters(tensors: &SafeTensors, shape: Shape, prefix: &str) -> Result<Parameters, String> {
    // Sizes first: the parameters are allocated only once the file is known to hold as many.
    let mut views = Vec::new();
    for tensor in shape.tensors() {
        let name = format!("{prefix}{}", tensor.name);
        let view = tensors.tensor(&name).map_err(|_| format!("it has no tensor {name:?}"))?;
        if view.dtype() != Dtype::F32 || view.shape() != tensor.sizes {
            return Err(format!(
                "tensor {name:?} is {:?} {:?}, but its header's shape needs F32 {:?}",
                view.dtype(),
                view.shape(),
                tensor.sizes
            ));
        }
        views.push((name, tensor, view));
    }
    let mut parameters = Parameters::zeros(shape);
    for (name, tensor, view) in views {
        for (value, bytes) in parameters.values[tensor.range].iter_mut().zip(view.data().as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
            if !value.is_finite() {
                return Err(format!("tensor {name:?} holds {value}, which is no parameter"));
            }
        }
    }
    Ok(parameters)
}

fn not_a_model(bytes: &[u8], error: &safetensors::SafeTensorError) -> String {
    format!(
        "not a whole model file ({} bytes; {error}): it is cut short, damaged, or not a safetensors file. Use another \
         copy, or train again",
        bytes.len()
    )
}
