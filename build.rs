//! Compresses the console's own files once, when they are built in, and tells the linker how to pack relocations.

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
    // A third of a megabyte of relocations in a few kilobytes; the loader knows them since glibc 2.36 (Debian 12). A
    // debug build may be linked by what does not mark them for that loader, such as mold before 2.0.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}
