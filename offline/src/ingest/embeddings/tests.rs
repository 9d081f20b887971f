#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use ndarray_npy::npy::header::{Header, Layout};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;
use crate::mapping::MatrixFormat;

/// The products of the shop.
const KNOWN: [&str; 3] = ["a", "b", "c"];

/// An npy file as numpy writes it.
fn npy(kind: &str, shape: &[usize], layout: Layout, numbers: &[u8]) -> Vec<u8> {
    let header = Header {
        type_descriptor: format!("'{kind}'").parse().unwrap(),
        layout,
        shape: shape.to_vec(),
    };
    let mut file = header.to_bytes().unwrap();
    file.extend(numbers);
    file
}

fn f32s(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn matrix(numbers: &[f32], dimension: usize) -> Vec<u8> {
    let shape = [numbers.len() / dimension, dimension];
    npy("<f4", &shape, Layout::Standard, &f32s(numbers))
}

fn tensors(name: &str, dtype: Dtype, numbers: &[u8]) -> Vec<u8> {
    let rows = 2;
    let shape = vec![rows, numbers.len() * 8 / dtype.bitsize() / rows];
    let view = TensorView::new(dtype, shape, numbers).unwrap();
    safetensors::serialize([(name, view)], None).unwrap()
}

type Attached = Result<(EmbeddingsReport, Vec<Option<Vec<f32>>>), String>;

fn attach_as(format: MatrixFormat, file: &[u8], ids: &str) -> Attached {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str, bytes: &[u8]| -> (String, PathBuf) {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (name.to_owned(), path)
    };
    let files = EmbeddingFiles {
        matrix: place("emb", file),
        format,
        ids: place("ids.txt", ids.as_bytes()),
    };
    let (mut found, report) = read(&files, &KNOWN.into(), 0.01).map_err(|error| {
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    })?;
    let embeddings = KNOWN.map(|id| found.remove(id).map(|numbers| numbers.to_vec()));
    Ok((report, embeddings.to_vec()))
}

fn attach_npy(file: &[u8], ids: &str) -> Attached {
    attach_as(MatrixFormat::Npy, file, ids)
}

#[test]
fn rows_reach_their_products_and_the_rest_is_counted() {
    let file = matrix(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2);
    let (report, embeddings) = attach_npy(&file, "c\r\nstranger\r\n a \r\n").unwrap();
    assert_eq!(
        embeddings,
        [Some(vec![5.0, 6.0]), None, Some(vec![1.0, 2.0])]
    );
    let counts = (
        report.products_with,
        report.products_without,
        report.unknown_ids,
    );
    assert_eq!((report.dimension, counts), (2, (2, 1, 1)));
    assert_eq!(
        (report.matrix.rows, report.ids.name.as_str()),
        (3, "ids.txt")
    );
    assert_eq!(report.matrix.sha256, Sha256Digest::of(&file));
}

#[test]
fn every_way_to_store_a_number_is_read_alike() {
    let numbers = [0.5f32, -2.0, 1.0, 0.25];
    let wide: Vec<u8> = numbers
        .iter()
        .flat_map(|x| f64::from(*x).to_le_bytes())
        .collect();
    let wide_big: Vec<u8> = numbers
        .iter()
        .flat_map(|x| f64::from(*x).to_be_bytes())
        .collect();
    let big: Vec<u8> = numbers.iter().flat_map(|x| x.to_be_bytes()).collect();
    let half: Vec<u8> = numbers
        .iter()
        .flat_map(|x| half::f16::from_f32(*x).to_le_bytes())
        .collect();
    let brain: Vec<u8> = numbers
        .iter()
        .flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())
        .collect();
    let by_column = f32s(&[0.5, 1.0, -2.0, 0.25]);
    let rows = |kind, bytes: &[u8]| npy(kind, &[2, 2], Layout::Standard, bytes);
    let mut found = vec![
        attach_npy(&rows("<f2", &half), "a\nb"),
        attach_npy(&rows("<f4", &f32s(&numbers)), "a\nb"),
        attach_npy(&rows(">f4", &big), "a\nb"),
        attach_npy(&rows("<f8", &wide), "a\nb"),
        attach_npy(&rows(">f8", &wide_big), "a\nb"),
        attach_npy(&npy("<f4", &[2, 2], Layout::Fortran, &by_column), "a\nb"),
    ];
    for (dtype, bytes) in [
        (Dtype::F16, half),
        (Dtype::BF16, brain),
        (Dtype::F32, f32s(&numbers)),
        (Dtype::F64, wide),
    ] {
        let format = MatrixFormat::Safetensors("vectors".to_owned());
        found.push(attach_as(
            format,
            &tensors("vectors", dtype, &bytes),
            "a\nb",
        ));
    }
    for attached in found {
        let (_, embeddings) = attached.unwrap();
        assert_eq!(
            embeddings,
            [Some(vec![0.5, -2.0]), Some(vec![1.0, 0.25]), None]
        );
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused_with_row_and_id() {
    let file = matrix(&[1.0, f32::NAN, 1.0, 1.0, f32::NEG_INFINITY, 1.0], 2);
    assert_eq!(
        attach_npy(&file, "a\nb\nc").unwrap_err(),
        "emb: 2 problems\n  row 1, id \"a\": number 2 is NaN\n  row 3, id \"c\": number 1 is -inf"
    );
    let wide: Vec<u8> = [1e300f64, 1.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let file = npy("<f8", &[1, 2], Layout::Standard, &wide);
    assert_eq!(
        attach_npy(&file, "a").unwrap_err(),
        "emb: 1 problem\n  row 1, id \"a\": number 1 is inf"
    );
}

#[test]
fn empty_long_and_duplicate_ids_are_refused_with_their_row() {
    let file = matrix(&[1.0; 4], 1);
    let long = "x".repeat(ID_BYTES_MAX + 1);
    let shown = "x".repeat(ID_SHOWN);
    assert_eq!(
        attach_npy(&file, &format!("a\n\na\n{long}\n")).unwrap_err(),
        format!(
            "ids.txt: 3 problems\n  row 2, id \"\": the id is empty\n  \
             row 3, id \"a\": the id is a duplicate of row 1\n  \
             row 4, id \"{shown}\"…: the id has 257 bytes, more than 256"
        )
    );
    assert_eq!(
        attach_npy(&file, "a\nb\nc\n").unwrap_err(),
        "ids.txt: 1 problem\n  has 3 ids, and emb has 4 rows"
    );
    assert_eq!(
        attach_npy(&file, "w\nx\ny\nz\n").unwrap_err(),
        "ids.txt: 1 problem\n  names 0 of 3 products of the shop; only in the file: \"w\", \"x\", \
         \"y\"; only in the shop: \"a\", \"b\", \"c\""
    );
}

#[test]
fn many_bad_rows_are_counted_and_a_few_shown() {
    let rows = 5000;
    let ids: String = (0..rows).map(|row| format!("id{row}\n")).collect();
    let refusal = attach_npy(&matrix(&vec![f32::NAN; rows], 1), &ids).unwrap_err();
    assert!(refusal.starts_with("emb: 5000 problems\n"), "{refusal}");
    assert_eq!(refusal.lines().count(), 1 + NAMED_MAX);
}

#[test]
fn files_that_hold_no_matrix_are_refused() {
    let line = npy("<f4", &[2], Layout::Standard, &f32s(&[1.0, 2.0]));
    let thin = npy("<f4", &[2, 0], Layout::Standard, &[]);
    let wide = npy(
        "<f4",
        &[1, 4_097],
        Layout::Standard,
        &f32s(&vec![1.0; 4_097]),
    );
    let whole = npy("<i8", &[1, 1], Layout::Standard, &[0; 8]);
    let huge = npy("<f4", &[1 << 40, 1 << 12], Layout::Standard, &[0; 8]);
    let overflowing = npy("<f8", &[1 << 60, 1 << 12], Layout::Standard, &[0; 8]);
    let short = npy("<f4", &[2, 2], Layout::Standard, &f32s(&[1.0, 2.0, 3.0]));
    let cases = [
        (
            line,
            "has an array of 1 dimensions; rows × columns are needed",
        ),
        (thin, "has rows of 0 numbers, which must lie in 1 to 4096"),
        (
            wide,
            "has rows of 4097 numbers, which must lie in 1 to 4096",
        ),
        (whole, "holds numbers of type <i8; f4 or f8 is needed"),
        (
            huge,
            "claims 1099511627776 rows of 4096 numbers and holds 8 bytes of them",
        ),
        (
            overflowing,
            "claims 1152921504606846976 rows of 4096 numbers and holds 8 bytes",
        ),
        (
            short,
            "claims 2 rows of 2 numbers and holds 12 bytes of them",
        ),
        (b"name,x\n".to_vec(), "is not an npy file: "),
    ];
    for (file, why) in cases {
        let refusal = attach_npy(&file, "a\nb").unwrap_err();
        assert!(
            refusal.starts_with(&format!("emb: 1 problem\n  {why}")),
            "{refusal}"
        );
    }
}

#[test]
fn safetensors_without_such_a_tensor_is_refused() {
    let attach = |file: &[u8]| {
        let format = MatrixFormat::Safetensors("embeddings".to_owned());
        attach_as(format, file, "a\nb").unwrap_err()
    };
    let refusal = attach(&tensors("vectors", Dtype::F32, &f32s(&[1.0, 2.0])));
    assert!(
        refusal.contains("has no tensor \"embeddings\"; it has: vectors"),
        "{refusal}"
    );
    let refusal = attach(&tensors("embeddings", Dtype::I32, &f32s(&[1.0, 2.0])));
    assert!(
        refusal.contains("holds numbers of type I32; F32 or F64 is needed"),
        "{refusal}"
    );
    assert!(attach(b"nonsense").contains("is not a safetensors file: "));
}

#[test]
fn device_is_refused_before_it_fills_the_memory() {
    let endless = || ("emb.npy".to_owned(), PathBuf::from("/dev/zero"));
    let files = EmbeddingFiles {
        matrix: endless(),
        format: MatrixFormat::Npy,
        ids: endless(),
    };
    let refusal = read(&files, &KNOWN.into(), 0.01).unwrap_err();
    assert_eq!(refusal.to_string(), "cannot read /dev/zero");
    let cause = std::error::Error::source(&refusal).unwrap();
    assert_eq!(cause.to_string(), "it is a device and not a regular file");
}

#[test]
fn missing_file_is_named() {
    let nowhere = |name: &str| (name.to_owned(), PathBuf::from("nowhere").join(name));
    let files = EmbeddingFiles {
        matrix: nowhere("emb.npy"),
        format: MatrixFormat::Npy,
        ids: nowhere("ids.txt"),
    };
    let refusal = read(&files, &KNOWN.into(), 0.01).unwrap_err().to_string();
    assert_eq!(refusal, "cannot read nowhere/emb.npy");
}
