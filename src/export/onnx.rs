//! ONNX: a graph from contexts to log-probabilities.
//!
//! ```text
//! context [batch, n] int64 -> Gather -> Reshape -> Gemm -> Tanh -> Gemm (-> Gemm, direct) -> LogSoftmax
//!                          -> log_probabilities [batch, V] float32
//! ```
//!
//! Weights keep their names in the model file; the tokens are in the metadata as a JSON list, in the order of their ids.

mod messages;

use prost::Message;

use crate::model::Parameters;
use crate::model::shape::{
    DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT, Shape,
};
use crate::text::Vocabulary;
use messages::{
    Attribute, Dimension, Entry, Graph, Model, Node, OperatorSet, Tensor, TensorShape, TensorType, Type, Value,
};

/// The operator set: the first whose LogSoftmax takes one axis alone. Everything since 2020 runs it.
const OPERATOR_SET: i64 = 13;
/// The version of the format that came with it.
const FORMAT: i64 = 7;
/// The input, `[batch, n]`, oldest token first.
pub const INPUT: &str = "context";
/// The output, `[batch, V]`.
pub const OUTPUT: &str = "log_probabilities";
/// The metadata entry with the tokens.
pub const VOCABULARY: &str = "vocabulary";

/// The size of the input's rows, as the graph holds it.
const ROWS: &str = "input.sizes";
/// A protobuf message cannot be larger.
const LARGEST: usize = (1 << 31) - 1;

/// The file's bytes. Errors: the model is larger than a file of this format can be.
pub fn bytes(parameters: &Parameters, vocabulary: &Vocabulary) -> Result<Vec<u8>, String> {
    let size = size_of_val(parameters.values.as_slice());
    if size > LARGEST {
        return Err(too_large(size));
    }
    let bytes = model(parameters, vocabulary).encode_to_vec();
    if bytes.len() > LARGEST { Err(too_large(bytes.len())) } else { Ok(bytes) }
}

fn too_large(size: usize) -> String {
    format!("the model takes {size} bytes, and an ONNX file can have {LARGEST}: take --format npz")
}

fn model(parameters: &Parameters, vocabulary: &Vocabulary) -> Model {
    let shape = parameters.shape();
    let mut initializers: Vec<Tensor> = parameters
        .tensors()
        .map(|(tensor, values)| Tensor {
            dims: tensor.sizes.iter().map(|&size| size as i64).collect(),
            data_type: messages::FLOAT,
            name: tensor.name.to_owned(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        })
        .collect();
    // Zero keeps the batch's size.
    let sizes = [0, shape.input() as i64];
    initializers.push(Tensor {
        dims: vec![2],
        data_type: messages::INT64,
        name: ROWS.to_owned(),
        raw_data: sizes.iter().flat_map(|size| size.to_le_bytes()).collect(),
    });
    let tokens = serde_json::to_string(vocabulary.tokens()).expect("plain data becomes JSON");
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    Model {
        ir_version: FORMAT,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            nodes: nodes(shape),
            name: "network".to_owned(),
            initializers,
            inputs: vec![value(INPUT, messages::INT64, shape.context)],
            outputs: vec![value(OUTPUT, messages::FLOAT, shape.vocabulary)],
        }),
        operator_sets: vec![OperatorSet { domain: String::new(), version: OPERATOR_SET }],
        metadata: vec![entry(VOCABULARY, tokens)],
    }
}

/// The operations, in the order in which they are computed.
fn nodes(shape: Shape) -> Vec<Node> {
    let mut nodes = vec![
        node("Gather", &[EMBEDDING_WEIGHT, INPUT], "embeddings", &[]),
        node("Reshape", &["embeddings", ROWS], "input", &[]),
    ];
    let mut logits = OUTPUT_BIAS;
    let transposed = [("transB", 1)];
    if shape.hidden > 0 {
        let weight = if shape.tied { EMBEDDING_WEIGHT } else { OUTPUT_WEIGHT };
        nodes.extend([
            node("Gemm", &["input", HIDDEN_WEIGHT, HIDDEN_BIAS], "hidden_sums", &transposed),
            node("Tanh", &["hidden_sums"], "hidden", &[]),
            node("Gemm", &["hidden", weight, OUTPUT_BIAS], "hidden_logits", &transposed),
        ]);
        logits = "hidden_logits";
    }
    if shape.direct {
        nodes.push(node("Gemm", &["input", DIRECT_WEIGHT, logits], "logits", &transposed));
        logits = "logits";
    }
    nodes.push(node("LogSoftmax", &[logits], OUTPUT, &[("axis", 1)]));
    nodes
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> Node {
    let attribute =
        |&(name, integer): &(&str, i64)| Attribute { name: name.to_owned(), integer, kind: messages::INTEGER };
    Node {
        inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        outputs: vec![output.to_owned()],
        name: format!("make_{output}"),
        operator: operator.to_owned(),
        attributes: attributes.iter().map(attribute).collect(),
    }
}

/// An input or output of so many columns.
fn value(name: &str, element: i32, columns: usize) -> Value {
    let dims = vec![
        Dimension { size: None, name: Some("batch".to_owned()) },
        Dimension { size: Some(columns as i64), name: None },
    ];
    let tensor = TensorType { element, shape: Some(TensorShape { dims }) };
    Value { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
}

#[cfg(test)]
mod tests;
