//! The graph is decoded and computed here, node by node, for every form of the network.

use std::collections::HashMap;

use super::*;
use crate::model::{Init, initial::initial};
use crate::reference::{Dropout, Network};
use crate::text::{Kind, TextKind, TokenKind};

const SHAPE: Shape = Shape { vocabulary: 5, context: 3, embedding: 4, hidden: 6, direct: false, tied: false };

fn vocabulary() -> Vocabulary {
    let kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };
    Vocabulary::from_tokens([".", "\n", "\"", "é", "a"].map(String::from).to_vec(), kind).unwrap()
}

/// A matrix, row by row; a vector is one row.
type Matrix = Vec<Vec<f64>>;

/// Computes a graph for one context.
fn compute(graph: &Graph, context: &[u32]) -> Vec<f64> {
    let mut values: HashMap<&str, Matrix> = HashMap::new();
    for tensor in &graph.initializers {
        let width = *tensor.dims.last().unwrap() as usize;
        let numbers: Vec<f64> = match tensor.data_type {
            messages::FLOAT => {
                tensor.raw_data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect()
            }
            _ => tensor.raw_data.as_chunks::<8>().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
        };
        assert_eq!(numbers.len() as i64, tensor.dims.iter().product::<i64>(), "{}", tensor.name);
        values.insert(&tensor.name, numbers.chunks_exact(width).map(<[f64]>::to_vec).collect());
    }
    values.insert(INPUT, vec![context.iter().map(|&id| f64::from(id)).collect()]);
    for node in &graph.nodes {
        let input = |place: usize| &values[node.inputs[place].as_str()];
        let attributes: Vec<(&str, i64)> = node.attributes.iter().map(|a| (a.name.as_str(), a.integer)).collect();
        let output: Matrix = match node.operator.as_str() {
            "Gather" => input(1)[0].iter().map(|&id| input(0)[id as usize].clone()).collect(),
            "Reshape" => {
                let flat = input(0).concat();
                assert_eq!(input(1)[0], [0.0, flat.len() as f64]);
                vec![flat]
            }
            "Gemm" => {
                assert_eq!(attributes, [("transB", 1)]);
                let (row, bias) = (&input(0)[0], &input(2)[0]);
                let product = |weights: &Vec<f64>| {
                    assert_eq!(weights.len(), row.len());
                    weights.iter().zip(row).map(|(weight, x)| weight * x).sum::<f64>()
                };
                vec![input(1).iter().zip(bias).map(|(weights, bias)| product(weights) + bias).collect()]
            }
            "Tanh" => vec![input(0)[0].iter().map(|x| x.tanh()).collect()],
            "LogSoftmax" => {
                assert_eq!(attributes, [("axis", 1)]);
                let sum: f64 = input(0)[0].iter().map(|x| x.exp()).sum();
                vec![input(0)[0].iter().map(|x| x - sum.ln()).collect()]
            }
            operator => panic!("{operator}"),
        };
        values.insert(&node.outputs[0], output);
    }
    values[OUTPUT][0].clone()
}

#[test]
fn the_graph_computes_every_form_of_the_network() {
    for shape in [
        SHAPE,
        Shape { direct: true, ..SHAPE },
        Shape { hidden: 0, direct: true, ..SHAPE },
        Shape { hidden: 4, tied: true, ..SHAPE },
        Shape { hidden: 4, tied: true, direct: true, ..SHAPE },
    ] {
        let parameters = initial(shape, Init::Lecture, 9, &[]);
        let model = Model::decode(bytes(&parameters, &vocabulary()).unwrap().as_slice()).unwrap();
        let found = compute(&model.graph.unwrap(), &[4, 0, 2]);
        let expected = Network::from_parameters(&parameters).forward(&[4, 0, 2], &Dropout::default()).probabilities;
        assert_eq!(found.len(), 5);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected.ln()).abs() < 1e-12, "{shape:?}: {found} {}", expected.ln());
        }
    }
}

#[test]
fn the_model_says_what_it_takes_and_which_tokens_it_has() {
    let model = model(&initial(SHAPE, Init::Lecture, 9, &[]), &vocabulary());
    assert_eq!(model.metadata[0].key, VOCABULARY);
    assert_eq!(serde_json::from_str::<Vec<String>>(&model.metadata[0].value).unwrap(), vocabulary().tokens());
    let graph = model.graph.unwrap();
    let columns = |value: &Value| {
        let tensor = value.kind.as_ref().and_then(|kind| kind.tensor.as_ref()).unwrap();
        (tensor.element, tensor.shape.as_ref().unwrap().dims[1].size)
    };
    assert_eq!(columns(&graph.inputs[0]), (messages::INT64, Some(3)));
    assert_eq!(columns(&graph.outputs[0]), (messages::FLOAT, Some(5)));
}
