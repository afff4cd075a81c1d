//! Golden files: cases with the values that an independent implementation computed for them.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

use super::{Case, Expected};
use crate::engine::{Recipe, State};
use crate::model::shape::{
    DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT, Shape,
};
use crate::model::{Parameters, Tensor};
use crate::text::Corpus;
use crate::train::files::read_whole;
use crate::{Error, Result};

/// Reads a golden file. Its tensors: contexts `X` [B, n] and targets `Y` `[B]` as I32; parameters `C` [V, d], `W1` [n*d, h],
/// `b1`, `W2` [h, V], `b2` and perhaps `W_direct` [n*d, V]; `hidden`, `logits`; `grad.<p>`, `after1.<p>`, `after10.<p>`;
/// `loss` `[1]` and `losses` `[10]` as F64.
pub fn read(path: &Path) -> Result<(Case, Expected)> {
    let bytes = read_whole(path, "a golden file")?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    from_bytes(&bytes, name).map_err(|reason| Error::content(path, reason))
}

/// The golden files built into the program, made by PyTorch's autograd in float64.
pub fn built_in() -> Vec<(Case, Expected)> {
    let files: [(&str, &[u8]); 3] = [
        ("golden-notebook", include_bytes!("../../tests/golden/notebook.safetensors")),
        ("golden-odd", include_bytes!("../../tests/golden/odd.safetensors")),
        ("golden-direct", include_bytes!("../../tests/golden/direct.safetensors")),
    ];
    files.map(|(name, bytes)| from_bytes(bytes, name.to_owned()).expect("the built-in files are whole")).to_vec()
}

/// Reads a golden file's bytes. An error says what does not fit, without the file's name.
pub(crate) fn from_bytes(bytes: &[u8], name: String) -> Result<(Case, Expected), String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a whole golden file: {error}. Use another copy"))?;
    let sizes = |name: &str| -> Result<Vec<usize>, String> { Ok(find(&file, name)?.shape().to_vec()) };
    let ([batch, context], [vocabulary, embedding], [_, hidden]) =
        (matrix(sizes("X")?)?, matrix(sizes("C")?)?, matrix(sizes("W1")?)?);
    if batch == 0 {
        return Err("tensor \"X\" holds no example: there is nothing to check. Use another copy".to_owned());
    }
    let direct = file.tensor("W_direct").is_ok();
    let shape = Shape { vocabulary, context, embedding, hidden, direct, tied: false };
    shape.check()?;
    let contexts = tokens(&file, "X", &[batch, context], vocabulary)?;
    let targets = tokens(&file, "Y", &[batch], vocabulary)?;
    let parameters = |prefix: &str| parameters(&file, shape, prefix);
    let mut losses = vec![doubles(&file, "loss", 1)?[0]];
    losses.extend(doubles(&file, "losses", 10)?);
    let case = Case {
        name,
        parameters: parameters("")?,
        corpus: Corpus::from_examples(&contexts, &targets, context),
        recipe: Recipe::default(),
        rate: 0.1,
    };
    let expected = Expected {
        hidden: floats(&file, "hidden", &[batch, hidden])?,
        logits: floats(&file, "logits", &[batch, vocabulary])?,
        gradients: parameters("grad.")?,
        losses,
        after_one: State::new(parameters("after1.")?, &Recipe::default()),
        after_ten: State::new(parameters("after10.")?, &Recipe::default()),
    };
    Ok((case, expected))
}

/// The golden file's name of a parameter, and whether it is stored as [inputs, outputs] where we have [outputs, inputs].
fn golden_name(tensor: &Tensor) -> (&'static str, bool) {
    match tensor.name {
        EMBEDDING_WEIGHT => ("C", false),
        HIDDEN_WEIGHT => ("W1", true),
        HIDDEN_BIAS => ("b1", false),
        OUTPUT_WEIGHT => ("W2", true),
        OUTPUT_BIAS => ("b2", false),
        DIRECT_WEIGHT => ("W_direct", true),
        name => unreachable!("a network has no tensor {name}"),
    }
}

fn parameters(file: &SafeTensors, shape: Shape, prefix: &str) -> Result<Parameters, String> {
    // Sizes first: the parameters are allocated only once the file is known to hold as many.
    let mut found = Vec::new();
    for tensor in shape.tensors() {
        let (name, transposed) = golden_name(&tensor);
        let name = format!("{prefix}{name}");
        let mut sizes = tensor.sizes.clone();
        if transposed {
            sizes.reverse();
        }
        data(file, &name, Dtype::F32, &sizes)?;
        found.push((name, sizes, transposed, tensor));
    }
    let mut parameters = Parameters::zeros(shape);
    for (name, sizes, transposed, tensor) in found {
        let from = floats(file, &name, &sizes)?;
        let to = &mut parameters.values[tensor.range];
        if transposed {
            let [inputs, outputs] = matrix(sizes)?;
            for output in 0..outputs {
                for input in 0..inputs {
                    to[output * inputs + input] = from[input * outputs + output];
                }
            }
        } else {
            to.copy_from_slice(&from);
        }
    }
    Ok(parameters)
}

fn find<'a>(file: &'a SafeTensors, name: &str) -> Result<safetensors::tensor::TensorView<'a>, String> {
    file.tensor(name).map_err(|_| format!("not a golden file: it has no tensor {name:?}"))
}

fn matrix(sizes: Vec<usize>) -> Result<[usize; 2], String> {
    sizes.try_into().map_err(|sizes| format!("a tensor has sizes {sizes:?} where a matrix is expected"))
}

/// A tensor's bytes, once its type and sizes are as expected.
fn data<'a>(file: &'a SafeTensors, name: &str, dtype: Dtype, sizes: &[usize]) -> Result<&'a [u8], String> {
    let view = find(file, name)?;
    if view.dtype() != dtype || view.shape() != sizes {
        return Err(format!("tensor {name:?} is {:?} {:?}, expected {dtype:?} {sizes:?}", view.dtype(), view.shape()));
    }
    Ok(view.data())
}

fn floats(file: &SafeTensors, name: &str, sizes: &[usize]) -> Result<Vec<f32>, String> {
    Ok(data(file, name, Dtype::F32, sizes)?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn doubles(file: &SafeTensors, name: &str, count: usize) -> Result<Vec<f64>, String> {
    Ok(data(file, name, Dtype::F64, &[count])?.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
}

fn tokens(file: &SafeTensors, name: &str, sizes: &[usize], vocabulary: usize) -> Result<Vec<u32>, String> {
    let token = |&bytes: &[u8; 4]| {
        let token = i32::from_le_bytes(bytes);
        u32::try_from(token)
            .ok()
            .filter(|&token| (token as usize) < vocabulary)
            .ok_or_else(|| format!("tensor {name:?} holds the token {token}, outside the vocabulary of {vocabulary}"))
    };
    data(file, name, Dtype::I32, sizes)?.as_chunks().0.iter().map(token).collect()
}
