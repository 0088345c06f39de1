//! With the real kernel, as root.
use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

type Files = BTreeMap<String, (Vec<u8>, u32)>;

fn files(of: &[(&str, &str)]) -> Files {
    of.iter().map(|(name, content)| (name.to_string(), (content.as_bytes().to_vec(), 0o644))).collect()
}

#[test]
fn a_projection_changes_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("v");
    let (old, new) = (files(&[("a", "1"), ("b", "1"), ("sub/c", "1")]), files(&[("a", "2"), ("b", "2"), ("sub/c", "2")]));
    assert!(write_projection(&dir, &old, None).unwrap());
    assert!(!write_projection(&dir, &old, None).unwrap(), "the same again changes nothing");
    assert_eq!(std::fs::read_link(dir.join("sub")).unwrap(), Path::new("..data/sub"));

    // A reader that pins `..data` sees one generation, while a writer swaps back and forth.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let generation = std::fs::read_link(dir.join("..data")).expect("..data is always there");
                let read = |name: &str| std::fs::read_to_string(dir.join(&generation).join(name)).ok();
                if let (Some(a), Some(c)) = (read("a"), read("sub/c")) {
                    assert_eq!(a, c);
                    seen += 1;
                }
                // A path that was half resolved when the swap came may end in the old generation, which is removed then.
                let found = std::fs::read(dir.join("b")).is_ok_and(|b| b.len() == 1);
                assert!(found || std::fs::read_link(dir.join("..data")).unwrap() != generation);
            }
            seen
        });
        for _ in 0..50 {
            write_projection(&dir, &new, None).unwrap();
            write_projection(&dir, &old, None).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });

    assert!(write_projection(&dir, &files(&[("b", "3")]), Some(4321)).unwrap());
    let mut left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!((left.len(), left[1].as_str(), left[2].as_str()), (3, "..data", "b"), "{left:?}");
    assert_eq!(std::fs::metadata(dir.join("b")).unwrap().gid(), 4321);
    for bad in ["", "/a", "../a", "a/../b", "..a", "a//b", "./a"] {
        assert!(write_projection(&dir, &files(&[(bad, "")]), None).is_err(), "{bad:?}");
    }
}

#[test]
fn a_sub_path_stays_in_its_volume() {
    let dir = tempfile::tempdir().unwrap();
    let (volume, pod) = (dir.path().join("volume"), dir.path().join("pod"));
    std::fs::create_dir_all(volume.join("real")).unwrap();
    std::fs::write(dir.path().join("secret"), "x").unwrap();
    std::fs::write(volume.join("real/file"), "inside").unwrap();
    symlink("real", volume.join("good")).unwrap();
    symlink("/etc", volume.join("absolute")).unwrap();
    symlink("../", volume.join("up")).unwrap();
    symlink("../outside", volume.join("dangling")).unwrap();
    std::fs::set_permissions(&volume, std::fs::Permissions::from_mode(0o770)).unwrap();
    for bad in ["..", "real/../..", "/etc", "absolute", "absolute/passwd", "up/secret", "dangling/x", "dangling"] {
        assert!(bind_subpath(&volume, bad, &pod.join("t")).is_err(), "{bad}");
    }
    assert!(!dir.path().join("outside").exists());
    bind_subpath(&volume, "good/file", &pod.join("f")).unwrap();
    bind_subpath(&volume, "good/file", &pod.join("f")).unwrap();
    assert_eq!(std::fs::read_to_string(pod.join("f")).unwrap(), "inside");
    bind_subpath(&volume, "new/dir", &pod.join("d")).unwrap();
    assert_eq!(std::fs::metadata(volume.join("new/dir")).unwrap().mode() & 0o777, 0o770);
    std::fs::write(pod.join("d/y"), "y").unwrap();

    cleanup(&pod).unwrap();
    cleanup(&pod).unwrap();
    assert!(!pod.exists() && volume.join("new/dir/y").exists() && volume.join("real/file").exists());
}

#[test]
fn empty_dirs_and_host_paths() {
    let dir = tempfile::tempdir().unwrap();
    let pod = dir.path().join("pod");
    empty_dir(&pod.join("disk"), Medium::Disk, 0, Some(77)).unwrap();
    let disk = std::fs::metadata(pod.join("disk")).unwrap();
    assert_eq!((disk.gid(), disk.mode() & 0o7777), (77, 0o2777));
    for _ in 0..2 {
        empty_dir(&pod.join("memory"), Medium::Memory, 1 << 20, None).unwrap();
    }
    assert_eq!(mounts::below(&pod).unwrap().len(), 1);
    assert!(std::fs::write(pod.join("memory/big"), vec![0; 2 << 20]).is_err(), "the size limit holds");

    let message = |path: &Path, kind| host_path(path, kind).unwrap_err().to_string();
    let absent = dir.path().join("absent");
    assert_eq!(message(&absent, HostPathType::Directory), format!("hostPath type check failed: {} is not a directory", absent.display()));
    assert_eq!(message(Path::new("/dev/null"), HostPathType::Socket), "hostPath type check failed: /dev/null is not a socket file");
    host_path(Path::new("/dev/null"), HostPathType::CharDevice).unwrap();
    host_path(&absent, HostPathType::DirectoryOrCreate).unwrap();
    assert!(host_path(&absent, HostPathType::FileOrCreate).is_err());
    assert!("Folder".parse::<HostPathType>().is_err());
    cleanup(&pod).unwrap();
    assert!(!pod.exists());
}
