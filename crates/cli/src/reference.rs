//! `gatecert completions` and `gatecert man`

use crate::Exit;
use crate::args::{Arguments, Completions, Man};
use crate::error::Failure;
use crate::output::Output;
use clap::CommandFactory as _;
use serde_json::json;

pub(crate) fn completions(arguments: &Completions, output: &Output) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "gatecert", &mut text);
    output.raw(&text)?;
    Ok(Exit::Done)
}

pub(crate) fn man(arguments: &Man, output: &Output) -> Result<Exit, Failure> {
    let Some(dir) = &arguments.dir else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Arguments::command()).render(&mut page);
        rendered.map_err(|error| Failure::local("write", &error))?;
        output.raw(&page)?;
        return Ok(Exit::Done);
    };
    let failed = |what: &str, error: std::io::Error| {
        let message = format!("could not {what} `{}`: {error}", dir.display());
        Failure { message, ..Failure::local("write", &error) }
    };
    std::fs::create_dir_all(dir).map_err(|error| failed("create the directory", error))?;
    clap_mangen::generate_to(Arguments::command(), dir).map_err(|error| failed("write into", error))?;
    output.result(&json!({ "directory": dir }), || {
        format!("wrote the manual pages into `{}`\n", dir.display())
    })?;
    Ok(Exit::Done)
}
