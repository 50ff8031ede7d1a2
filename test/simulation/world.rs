//! BARN's worlds, as published and as people damage them.

use std::path::{Path, PathBuf};

use planner_tuner_simulation::score::optimal_time;
use planner_tuner_simulation::world::{BarnError, BarnFolder};

fn barn() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/barn");
    let found = folder.is_dir().then_some(folder);
    assert!(
        found.is_some() || std::env::var_os("PLANNER_TUNER_REQUIRE_FIXTURES").is_none(),
        "PLANNER_TUNER_REQUIRE_FIXTURES is set, and there is no ../shared/data/barn"
    );
    if found.is_none() {
        println!("skipped: no ../shared/data/barn");
    }
    found
}

#[test]
fn published_worlds_have_their_published_times() {
    let Some(folder) = barn() else { return };
    let worlds = BarnFolder::open(&folder).unwrap();
    let table = std::fs::read_to_string(folder.join("worlds.csv")).unwrap();
    let mut compared = 0;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let world = worlds.world(fields[0].parse().unwrap(), 15.0).unwrap();
        let filled: usize = fields[1].parse().unwrap();
        // The side walls of the lane and the wall behind it: 34 on each side and 28 between them.
        assert_eq!(world.cylinders().len(), filled + 2 * 34 + 28, "{}", world.name());
        let (length, time): (f64, f64) = (fields[5].parse().unwrap(), fields[6].parse().unwrap());
        assert!((world.reference_length() - length).abs() < 1e-6, "{}: {}", world.name(), world.reference_length());
        assert!((optimal_time(world.reference_length()) - time).abs() < 1e-6);
        compared += 1;
    }
    for id in worlds.ids() {
        worlds.world(id, 15.0).unwrap();
    }
    println!("{compared} worlds have their published times; all {} can be read", worlds.ids().len());
}

/// An array as numpy writes it.
fn npy(shape: &str, values: &[i64]) -> Vec<u8> {
    let header = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn damaged_worlds_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(BarnFolder::open(folder.path()), Err(BarnError::Empty { .. })));
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let good_path: Vec<i64> = (0..30).flat_map(|column| [15, column]).collect();
    write("grid_1.npy", &npy("(30, 30)", &[0; 900]));
    write("path_1.npy", &npy("(30, 2)", &good_path));
    write("grid_2.npy", &npy("(30, 29)", &[0; 870]));
    write("grid_3.npy", &npy("(30, 30)", &[7; 900]));
    write("grid_4.npy", b"version https://git-lfs.github.com/spec/v1");
    write("grid_5.npy", &npy("(30, 30)", &[0; 900]));
    write("grid_6.npy", &npy("(30, 30)", &[0; 900]));
    write("path_6.npy", &npy("(2, 2)", &[15, 0, 30, 29]));
    write("grid_7.npy", &npy("(30, 30)", &[0; 900]));
    write("path_7.npy", &npy("(2, 2)", &[15, 0, 15, 12]));
    let worlds = BarnFolder::open(folder.path()).unwrap();
    assert_eq!(worlds.ids().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    let said = |id| worlds.world(id, 10.0).unwrap_err().to_string();
    assert!(worlds.world(1, 10.0).is_ok());
    assert!(said(2).contains("grid_2.npy: the grid has 30 x 29 cells"), "{}", said(2));
    assert!(said(3).contains("grid_3.npy: cell 0, 0 holds 7"), "{}", said(3));
    assert!(said(4).contains("grid_4.npy: it is not a numpy file"), "{}", said(4));
    assert!(said(5).contains("path_5.npy: cannot be read"), "{}", said(5));
    assert!(said(6).contains("path_6.npy: a point [30, 29]"), "{}", said(6));
    assert!(said(7).contains("path_7.npy: a path from column to column"), "{}", said(7));
    assert!(said(9).contains("there is no world 9; there are 7 from 1 to 7"), "{}", said(9));
}
