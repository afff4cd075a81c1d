//! NumPy's .npz: every tensor under its name in the model file, and the vocabulary.

use std::io::{Cursor, Write};

use zip::result::ZipResult;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::model::Parameters;
use crate::text::Vocabulary;

/// The member with the tokens in the order of their ids: a JSON list in UTF-8, as one byte string.
pub const VOCABULARY: &str = "vocabulary";

/// The file's bytes: the same for the same model. Members are not compressed, so that they can be mapped into memory.
pub fn bytes(parameters: &Parameters, vocabulary: &Vocabulary) -> Vec<u8> {
    archive(parameters, vocabulary).expect("a buffer in memory takes all, and the names are distinct")
}

fn archive(parameters: &Parameters, vocabulary: &Vocabulary) -> ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // Room in the headers for members of 4 GiB and more.
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).large_file(true);
    let mut add = |name: &str, kind: &str, sizes: &[usize], content: &[u8]| -> ZipResult<()> {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&header(kind, sizes))?;
        Ok(archive.write_all(content)?)
    };
    for (tensor, values) in parameters.tensors() {
        let content: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        add(tensor.name, "<f4", &tensor.sizes, &content)?;
    }
    let tokens = serde_json::to_vec(vocabulary.tokens()).expect("plain data becomes JSON");
    add(VOCABULARY, &format!("|S{}", tokens.len()), &[], &tokens)?;
    Ok(archive.finish()?.into_inner())
}

/// What stands before the numbers of an array: version 1.0 of the .npy format, filled up with blanks to a multiple of 64.
fn header(kind: &str, sizes: &[usize]) -> Vec<u8> {
    let sizes: String = sizes.iter().map(|size| format!("{size},")).collect();
    let mut entries = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
    const BEFORE: usize = 10;
    while !(BEFORE + entries.len() + 1).is_multiple_of(64) {
        entries.push(' ');
    }
    entries.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    header.extend_from_slice(entries.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::model::{Init, Shape, initial::initial};
    use crate::text::{Kind, TextKind, TokenKind};

    #[test]
    fn the_archive_holds_every_tensor_and_the_tokens() {
        let shape = Shape { vocabulary: 3, context: 2, embedding: 2, hidden: 4, direct: true, tied: false };
        let parameters = initial(shape, Init::Lecture, 1, &[]);
        let kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };
        let vocabulary = Vocabulary::from_tokens([".", "\"", "é"].map(String::from).to_vec(), kind).unwrap();
        let bytes = bytes(&parameters, &vocabulary);
        assert_eq!(bytes, super::bytes(&parameters, &vocabulary));
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 7);
        let mut member = |name: &str| {
            let mut content = Vec::new();
            archive.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(&content[..8], b"\x93NUMPY\x01\x00");
            let length = usize::from(u16::from_le_bytes([content[8], content[9]]));
            assert_eq!((10 + length) % 64, 0);
            let header = String::from_utf8(content[10..10 + length].to_vec()).unwrap();
            (header, content.split_off(10 + length))
        };
        for (tensor, values) in parameters.tensors() {
            let (header, content) = member(tensor.name);
            let sizes: Vec<String> = tensor.sizes.iter().map(|size| format!("{size},")).collect();
            let expected = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.concat());
            assert_eq!(header.trim_end(), expected);
            let numbers: Vec<f32> = content.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            assert_eq!(numbers, values, "{}", tensor.name);
        }
        let (header, content) = member(VOCABULARY);
        assert!(header.contains(&format!("'|S{}'", content.len())) && header.contains("'shape': ()"), "{header}");
        assert_eq!(serde_json::from_slice::<Vec<String>>(&content).unwrap(), vocabulary.tokens());
    }
}
