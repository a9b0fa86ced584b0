//! Compresses the console's own files once, when they are built in, and tells the linker how a
//! release is made small.

use std::io::Write;
use std::path::Path;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> std::io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| std::io::Error::other("cargo gives OUT_DIR"))?;
    for name in ["console.css", "console.js", "icon.svg"] {
        let source = Path::new("src/admin/console/pages").join(name);
        println!("cargo::rerun-if-changed={}", source.display());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(source)?)?;
        fs::write(Path::new(&out).join(format!("{name}.gz")), encoder.finish()?)?;
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        link_small();
    }
    Ok(())
}

/// Two thirds of a megabyte of tables by which nothing is ever unwound, since a release aborts, and
/// a third of relocations in a few kilobytes: the loader knows those since glibc 2.36 (Debian 12).
/// mold reads no such script, and before 2.0 does not mark such relocations for the loader.
fn link_small() {
    let script = "packaging/no-unwind.ld";
    println!("cargo::rerun-if-changed={script}");
    if env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("mold")) {
        return;
    }
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for word in ["-z,pack-relative-relocs", "--no-eh-frame-hdr", &format!("-T,{root}/{script}")] {
        println!("cargo::rustc-link-arg-bins=-Wl,{word}");
    }
}
