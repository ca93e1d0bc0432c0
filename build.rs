//! Builds the stand-in for libpcap that lets `cargo build` succeed, and the program start, on a machine
//! without libpcap. It leaves out everything else: no bindings are made, no system library is searched.
//!
//! The `pcap` crate links with `-lpcap`. The archive made here has that name and is searched first, so
//! it also wins over an installed development package: one way to build everywhere.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=shim/pcap_shim.c");
    let live = env::var_os("CARGO_FEATURE_LIVE").is_some();
    // Elsewhere libpcap belongs to the system, and the names the shim would look for do not exist.
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if live && linux {
        build_shim();
    }
}

/// Leaves `libpcap.a` in the output directory and puts that directory on the search path. The archive is
/// not named as a library of this crate: the `pcap` crate already asks for one of that name.
fn build_shim() {
    cc::Build::new().file("shim/pcap_shim.c").warnings(true).extra_warnings(true).cargo_metadata(false).compile("pcap");
    if let Ok(out) = env::var("OUT_DIR") {
        println!("cargo:rustc-link-search=native={out}");
    }
    // Before glibc 2.34 dlopen and pthread_once live in libraries of their own.
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu") {
        println!("cargo:rustc-link-lib=dylib=dl");
        println!("cargo:rustc-link-lib=dylib=pthread");
    }
}
