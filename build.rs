//! Lets binaries find the ROS libraries they are linked with, without LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=AMENT_PREFIX_PATH");
    let linked =
        std::env::var_os("CARGO_FEATURE_ROS").is_some() && std::env::var_os("CARGO_FEATURE_DOC_ONLY").is_none();
    if !linked {
        return;
    }
    for prefix in std::env::split_paths(&std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default()) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", prefix.join("lib").display());
    }
}
