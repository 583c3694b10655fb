//! The commit that a package is built from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The value of the variable that names the commit.
pub(crate) fn from_variable(value: OsString) -> Result<String, &'static str> {
    match value.into_string() {
        Ok(commit) if commit.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(commit),
        _ => Err("it holds something else than visible ASCII characters"),
    }
}

/// The short hash of the commit in `package`, with `-dirty` where tracked files have changes. `None`
/// without git, or where the package is no part of the repository around it.
pub(crate) fn of(package: &Path) -> Option<String> {
    // An unpacked archive may lie in somebody's repository.
    git(package, &["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let commit = git(package, &["rev-parse", "--short", "HEAD"])?;
    let changes = git(package, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-dirty") })
}

/// The files of the repository that change with the commit.
pub(crate) fn files(package: &Path) -> Vec<PathBuf> {
    let branch = git(package, &["symbolic-ref", "--quiet", "HEAD"]);
    // The index changes when files are added.
    ["HEAD", "index", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref())
        .filter_map(|name| git(package, &["rev-parse", "--git-path", name]))
        .map(|path| package.join(path))
        .collect()
}

/// What git answers; `None` where it cannot be run, or fails.
fn git(package: &Path, arguments: &[&str]) -> Option<String> {
    // Without optional locks, `status` does not write the index that is watched.
    let output =
        Command::new("git").arg("--no-optional-locks").args(arguments).current_dir(package).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let identity =
                ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
            let arguments: Vec<&str> = identity.iter().chain(arguments).copied().collect();
            git(folder.path(), &arguments).unwrap_or_else(|| panic!("git {arguments:?} failed"))
        };
        run(&["init", "--quiet"]);
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        run(&["add", "Cargo.toml"]);
        run(&["commit", "--quiet", "--message", "Begin"]);
        folder
    }

    #[test]
    fn a_clean_tree_has_its_commit_and_a_changed_one_says_so() {
        let folder = repository();
        let commit = of(folder.path()).unwrap();
        assert!(commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
        std::fs::write(folder.path().join("notes.txt"), "not tracked").unwrap();
        assert_eq!(of(folder.path()).unwrap(), commit);
        std::fs::write(folder.path().join("Cargo.toml"), "[package]").unwrap();
        assert_eq!(of(folder.path()).unwrap(), format!("{commit}-dirty"));
    }

    #[test]
    fn what_is_no_part_of_the_repository_around_it_has_no_commit() {
        let folder = repository();
        let unpacked = folder.path().join("unpacked");
        std::fs::create_dir(&unpacked).unwrap();
        std::fs::write(unpacked.join("Cargo.toml"), "").unwrap();
        assert_eq!(of(&unpacked), None);
        assert_eq!(of(Path::new("/nonexistent")), None);
    }

    #[test]
    fn the_files_of_the_commit_are_found() {
        let folder = repository();
        let files = files(folder.path());
        assert!(files.iter().filter(|file| file.exists()).count() >= 3, "{files:?}");
    }
}
