//! A picture of what a task prints, as SVG.

use anstyle_svg::Term;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a task of this program, and draws what it prints to standard output, as a terminal shows it.
pub(crate) fn draw(task: &[&str], file: &Path) -> Result<()> {
    let own = std::env::current_exe().context("the path of this program")?;
    let mut child = Command::new(own)
        .args(task)
        // It prints to a pipe, and is to look as at a terminal.
        .env("CLICOLOR_FORCE", "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut shown = format!("$ cargo xtask {}\n", task.join(" "));
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        shown.push_str(&line);
        shown.push('\n');
    }
    ensure!(child.wait()?.success(), "what was to be drawn has failed");
    fs::write(file, Term::new().render_svg(&shown))
        .with_context(|| format!("{} can not be written", file.display()))?;
    println!("drew {}", file.display());
    Ok(())
}
