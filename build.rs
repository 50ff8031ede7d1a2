//! Lets binaries find the ROS libraries they are linked with, without LD_LIBRARY_PATH, and finds out whether there are
//! messages for TF and of Nav2: the wheels that ROS comes in on machines without one have none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=AMENT_PREFIX_PATH");
    println!("cargo:rustc-check-cfg=cfg(tf2_msgs)");
    println!("cargo:rustc-check-cfg=cfg(nav2_msgs)");
    let prefixes = std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default();
    // The messages that come with r2r have them.
    if std::env::var_os("CARGO_FEATURE_DOC_ONLY").is_some()
        || std::env::split_paths(&prefixes).any(|prefix| prefix.join("share/tf2_msgs").is_dir())
    {
        println!("cargo:rustc-cfg=tf2_msgs");
    }
    // Those that come with r2r have none of Nav2's.
    if std::env::var_os("CARGO_FEATURE_DOC_ONLY").is_none()
        && std::env::split_paths(&prefixes).any(|prefix| prefix.join("share/nav2_msgs").is_dir())
    {
        println!("cargo:rustc-cfg=nav2_msgs");
    }
    let linked =
        std::env::var_os("CARGO_FEATURE_ROS").is_some() && std::env::var_os("CARGO_FEATURE_DOC_ONLY").is_none();
    if !linked {
        return;
    }
    for prefix in std::env::split_paths(&prefixes) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", prefix.join("lib").display());
    }
}
