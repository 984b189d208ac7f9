use gatecert_testkit::Process;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};
use tempfile::TempDir;

/// Names the folder where the killed half of a test is to start its server.
const FOLDER: &str = "GATECERT_TESTKIT_FOLDER";

/// A server that writes its process id, and says something.
fn start(folder: &Path) -> (Process, PathBuf) {
    let directory = TempDir::new_in(folder).unwrap();
    let id = folder.join("id");
    let script = "echo hello; echo $$ > ../id.new; mv ../id.new ../id; exec sleep 86399";
    let process = Process::start("sleeper", "sh".as_ref(), &["-c", script], &[], directory).unwrap();
    (process, id)
}

/// Looks until `what` is there; a test that waits in vain fails.
fn until<T>(what: impl Fn() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(found) = what() {
            return found;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain");
}

fn id_in(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn runs(id: &str) -> bool {
    Command::new("sh").args(["-c", "kill -0 $0 2>/dev/null", id]).status().unwrap().success()
}

#[test]
fn ends_on_drop_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let (process, id) = start(folder.path());
    let id = until(|| id_in(&id));
    assert!(runs(&id));
    assert_eq!(process.log(), "hello\n");
    let directory = process.directory().to_owned();
    drop(process);
    assert!(!runs(&id));
    assert!(!directory.exists());
}

#[test]
fn does_not_outlive_a_killed_test() {
    if let Some(folder) = env::var_os(FOLDER) {
        let _process = start(folder.as_ref());
        loop {
            thread::park();
        }
    }
    let folder = TempDir::new().unwrap();
    let mut test = Command::new(env::current_exe().unwrap())
        .args(["--exact", "process::does_not_outlive_a_killed_test"])
        .env(FOLDER, folder.path())
        .spawn()
        .unwrap();
    let id = until(|| id_in(&folder.path().join("id")));
    assert!(runs(&id));
    test.kill().unwrap();
    test.wait().unwrap();
    until(|| (!runs(&id)).then_some(()));
}

#[test]
fn a_failing_test_keeps_the_log() {
    let folder = TempDir::new().unwrap();
    let (process, id) = start(folder.path());
    until(|| id_in(&id));
    let directory = process.directory().to_owned();
    let test = thread::spawn(move || {
        let _process = process;
        panic!("on purpose");
    });
    test.join().unwrap_err();
    assert!(fs::read_to_string(directory.join("sleeper.log")).unwrap().starts_with("hello\n"));
}

#[tokio::test]
async fn one_that_ends_is_not_ready() {
    let folder = TempDir::new().unwrap();
    let directory = TempDir::new_in(folder.path()).unwrap();
    let arguments = ["-c", "echo no configuration; exit 3"];
    let mut process = Process::start("broken", "sh".as_ref(), &arguments, &[], directory).unwrap();
    let error = process.wait_ready(|| async { false }).await.unwrap_err().to_string();
    assert!(error.contains("ended with exit status: 3"), "{error}");
    assert!(error.ends_with("no configuration"), "{error}");
}

#[tokio::test]
async fn takes_signals() {
    let folder = TempDir::new().unwrap();
    let (mut process, id) = start(folder.path());
    until(|| id_in(&id));
    process.signal("STOP").unwrap();
    process.signal("CONT").unwrap();
    process.signal("TERM").unwrap();
    assert_eq!(process.ended().await.unwrap(), 128 + 15);
    process.signal("TERM").unwrap_err();
}
