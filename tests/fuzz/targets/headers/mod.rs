//! Changes to safetensors files of which most leave the length of the header right: else hardly any new file would get
//! past the first eight bytes.

use libfuzzer_sys::fuzzer_mutate;

/// Changes the first `size` bytes of a file in place, to at most `most`; returns how many there are then.
pub fn change(file: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let length = file[..size].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let Some(length) = length.filter(|&length| size <= most && length <= size as u64 - 8) else {
        return fuzzer_mutate(file, size, most);
    };
    let end = 8 + length as usize;
    // Room for the data behind this header, and for a header before this data. libFuzzer changes nothing where there is none.
    let (for_data, for_header) = (most - end, most - 8 - (size - end));
    match seed % 8 {
        1 if for_data > 0 => end + fuzzer_mutate(&mut file[end..], size - end, for_data),
        2.. if for_header > 0 => {
            let data = file[end..size].to_vec();
            let length = fuzzer_mutate(&mut file[8..8 + for_header], end - 8, for_header);
            file[..8].copy_from_slice(&(length as u64).to_le_bytes());
            file[8 + length..][..data.len()].copy_from_slice(&data);
            8 + length + data.len()
        }
        _ => fuzzer_mutate(file, size, most),
    }
}
