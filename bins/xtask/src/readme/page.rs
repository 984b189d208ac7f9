//! The documents, and what of them can be tried.

use super::excused::is_excused;
use crate::cargo::workspace;
use anyhow::{Context as _, Result, bail};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use std::fs;
use std::path::Path;

/// Generated from the program: its examples stand in the help of each command.
const GENERATED: &str = "docs/cli.md";

/// For those who write programs, and this one.
const FOR_PROGRAMMERS: [&str; 2] = ["CONTRIBUTING.md", "SECURITY.md"];

/// Where a block is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scene {
    /// This machine as it is.
    Host,
    /// A cluster with Istio.
    Cluster,
    /// The same, behind all that is for the cluster: gatecert has been uninstalled.
    #[value(skip)]
    Fresh,
    /// A machine on the Internet, on which gatecert and an Envoy run.
    Machine,
}

/// A document.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) inlines: Vec<Inline>,
    /// Where links and pictures lead.
    links: Vec<String>,
}

/// A block of code.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) language: String,
    /// Nothing where it is neither run nor loaded.
    pub(crate) scene: Option<Scene>,
    /// What the reader is told to save it as.
    pub(crate) file: Option<String>,
    pub(crate) text: String,
}

/// Code in the middle of a sentence.
#[derive(Debug, PartialEq)]
pub(crate) struct Inline {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A command as it is printed, and what is printed below it.
#[derive(Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) output: Vec<String>,
}

/// README.md, and what is in docs/ by name: who reads on has done what stood before, and a page may need what another has
/// made. Then what is for programmers.
pub(crate) fn all() -> Result<Vec<Page>> {
    let mut names = vec!["README.md".to_owned()];
    names.extend(markdown("docs")?.into_iter().filter(|name| name != GENERATED));
    let read = |name: &String| fs::read_to_string(workspace().join(name)).with_context(|| name.clone());
    let mut pages: Vec<_> =
        names.iter().map(|name| Page::parse(name, &read(name)?)).collect::<Result<_>>()?;
    for name in for_programmers()? {
        pages.push(Page::parse_compiled(&name, &read(&name)?)?);
    }
    pages.iter().try_for_each(Page::leads_somewhere)?;
    Ok(pages)
}

/// The guides, the crates' READMEs, and what tells how to work on this project.
fn for_programmers() -> Result<Vec<String>> {
    let mut names = markdown("docs/guides")?;
    for entry in fs::read_dir(workspace().join("crates"))? {
        names.extend(markdown(&format!("crates/{}", entry?.file_name().to_string_lossy()))?);
    }
    names.extend(FOR_PROGRAMMERS.map(str::to_owned));
    names.sort();
    Ok(names)
}

/// The documents in a folder of the workspace, sorted.
fn markdown(folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace().join(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            found.push(format!("{folder}/{name}"));
        }
    }
    found.sort();
    Ok(found)
}

impl Page {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let mut page = Self::parse_compiled(name, text)?;
        for block in &mut page.blocks {
            block.decide_scene().with_context(|| format!("{name}:{}", block.line))?;
        }
        Ok(page)
    }

    /// A page whose blocks are no scene's: they are compiled as tests of a crate, or are an example that `cargo xtask examples`
    /// runs and `cargo xtask package` builds.
    pub(crate) fn parse_compiled(name: &str, text: &str) -> Result<Self> {
        let (mut blocks, mut inlines, mut links): (Vec<Block>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut is_inside = false;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let line = line_of(range.start);
                    blocks.push(Block::new(line + 1, &info).with_context(|| format!("{name}:{line}"))?);
                    is_inside = true;
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
                    let line = line_of(range.start);
                    bail!("{name}:{line}: an indented block has no language: write a fence");
                }
                // A cell of a table has its bars escaped.
                Event::Code(code) => {
                    inlines.push(Inline { line: line_of(range.start), text: code.replace("\\|", "|") });
                }
                Event::Text(part) if is_inside => {
                    if let Some(block) = blocks.last_mut() {
                        block.text.push_str(&part);
                    }
                }
                Event::End(_) => is_inside = false,
                _ => {}
            }
        }
        Ok(Self { name: name.to_owned(), blocks, inlines, links })
    }

    /// Whether what it links to in this repository is there, down to the heading.
    fn leads_somewhere(&self) -> Result<()> {
        let own = workspace().join(&self.name);
        for link in self.links.iter().filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { own.clone() } else { own.with_file_name(path) };
            if !target.exists() {
                bail!("{}: `{path}` is not there", self.name);
            }
            if !heading.is_empty() && !has_heading(&target, heading)? {
                bail!("{}: `{link}`: there is no such heading", self.name);
            }
        }
        Ok(())
    }

    /// What belongs to a scene, in its order.
    pub(crate) fn blocks_of(&self, scene: Scene) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.scene == Some(scene))
    }

    /// A line of it, for errors.
    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.name)
    }
}

/// Whether a document has this heading, in the words that GitHub makes of it for links.
fn has_heading(document: &Path, wanted: &str) -> Result<bool> {
    let text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let (mut heading, mut found) = (None, false);
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                heading.iter_mut().for_each(|heading| heading.push_str(&part));
            }
            Event::End(TagEnd::Heading(_)) => found |= heading.take().is_some_and(|it| anchor(&it) == wanted),
            _ => {}
        }
    }
    Ok(found)
}

fn anchor(heading: &str) -> String {
    let is_kept = |it: &char| it.is_alphanumeric() || [' ', '-', '_'].contains(it);
    heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-")
}

impl Block {
    fn new(line: usize, info: &str) -> Result<Self> {
        let mut words = info.split_whitespace();
        let language = words.next().context("a fence without a language")?.to_owned();
        let (mut scene, mut file) = (None, None);
        for word in words {
            match word {
                "cluster" => scene = Some(Scene::Cluster),
                "fresh" => scene = Some(Scene::Fresh),
                "machine" => scene = Some(Scene::Machine),
                name if name.contains('.') => file = Some(name.to_owned()),
                other => bail!("`{other}` is neither `cluster`, `fresh` or `machine` nor a file"),
            }
        }
        Ok(Self { line, language, scene, file, text: String::new() })
    }

    /// Where no word says it, by what it is.
    fn decide_scene(&mut self) -> Result<()> {
        let is_manifest = || self.text.lines().any(|line| line.starts_with("apiVersion: "));
        self.scene = self.scene.or_else(|| match self.language.as_str() {
            "console" => Some(Scene::Host),
            "yaml" if !self.is_excused() && is_manifest() => Some(Scene::Cluster),
            _ => None,
        });
        if self.scene.is_none() && !self.is_prose() && !self.is_excused() {
            bail!("where does this belong? write `cluster` or `machine` behind its language");
        }
        Ok(())
    }

    /// Whether it is for the eyes alone.
    fn is_prose(&self) -> bool {
        ["text", "rust"].contains(&self.language.as_str())
    }

    /// Whether it can not be tried, by its first line.
    pub(crate) fn is_excused(&self) -> bool {
        !self.is_console() && self.text.lines().next().is_some_and(is_excused)
    }

    pub(crate) fn is_console(&self) -> bool {
        self.language == "console"
    }

    /// The commands that can be run.
    pub(crate) fn commands(&self) -> Result<Vec<Command>> {
        let commands = self.all_commands()?;
        Ok(commands.into_iter().filter(|command| !is_excused(&command.text)).collect())
    }

    /// All commands: each begins with `$ `, and goes on behind a backslash or in a here-document.
    pub(crate) fn all_commands(&self) -> Result<Vec<Command>> {
        let mut commands: Vec<Command> = Vec::new();
        for (offset, text) in self.text.lines().enumerate() {
            let line = self.line + offset;
            match (commands.last_mut(), text.strip_prefix("$ ")) {
                (Some(last), _) if last.goes_on() => {
                    last.text.push('\n');
                    last.text.push_str(text);
                }
                (_, Some(text)) => {
                    commands.push(Command { line, text: text.to_owned(), output: Vec::new() });
                }
                (Some(last), None) => last.output.push(text.to_owned()),
                (None, None) => bail!("line {line}: no command before what it prints"),
            }
        }
        Ok(commands)
    }
}

impl Command {
    fn goes_on(&self) -> bool {
        let mut lines = self.text.lines();
        let first = lines.next().unwrap_or_default();
        let end = first.split_once("<<").and_then(|(_, rest)| rest.split_whitespace().next());
        let end = end.map(|word| word.trim_matches(['\'', '"']));
        match end {
            Some(end) => !lines.any(|line| line == end),
            None => self.text.ends_with('\\'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Page> {
        Page::parse("page.md", text)
    }

    #[test]
    fn commands_go_on_where_a_shell_would_read_on() {
        let text = "# Title\n\n1. a list\n   ```console machine\n   $ cat <<EOF | sort\n   $ no command\n   EOF\n   printed\n   $ echo a \\\n       b\n   ```\n";
        let page = parsed(text).unwrap();
        let [block] = &page.blocks[..] else { panic!("{page:?}") };
        assert_eq!(block.scene, Some(Scene::Machine));
        let command = |line, text: &str, output: &[&str]| Command {
            line,
            text: text.to_owned(),
            output: output.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(
            block.commands().unwrap(),
            [
                command(5, "cat <<EOF | sort\n$ no command\nEOF", &["printed"]),
                command(9, "echo a \\\n    b", &[]),
            ]
        );
    }

    #[test]
    fn code_in_a_sentence_is_found() {
        let page =
            parsed("# `a`\n\nwords\n[`b c`](b.md)\n\n| x |\n|---|\n| `d \\| e` |\n\n```text\n`f`\n```\n")
                .unwrap();
        let inline = |line, text: &str| Inline { line, text: text.to_owned() };
        assert_eq!(page.inlines, [inline(1, "a"), inline(4, "b c"), inline(8, "d | e")]);
    }

    #[test]
    fn nothing_is_passed_over_in_silence() {
        for (text, told) in [
            ("```\n$ gatecert issue\n```\n", "a fence without a language"),
            ("text\n\n    $ gatecert issue\n", "an indented block"),
            ("```yaml\nlisteners: []\n```\n", "where does this belong?"),
            ("```toml\nstore = '/x'\n```\n", "where does this belong?"),
            ("```sh\ngatecert issue\n```\n", "where does this belong?"),
            ("```console clutser\n$ gatecert issue\n```\n", "neither `cluster`, `fresh` or `machine`"),
        ] {
            let error = format!("{:#}", parsed(text).unwrap_err());
            assert!(error.contains(told), "{error}");
        }
        let page = parsed("```console\nno command\n```\n").unwrap();
        page.blocks[0].commands().unwrap_err();
    }

    #[test]
    fn a_link_leads_somewhere() {
        for (link, is_there) in [
            ("docs/upgrade.md#with-helm", true),
            ("#install", true),
            ("https://example.com/x#y", true),
            ("docs/none.md", false),
            ("docs/upgrade.md#without-helm", false),
            ("#nowhere", false),
        ] {
            let page = Page::parse("README.md", &format!("[text]({link})\n")).unwrap();
            assert_eq!(page.leads_somewhere().is_ok(), is_there, "{link}");
        }
        let page = Page::parse("docs/serve.md", "![text](images/none.svg) [text](../README.md)").unwrap();
        assert_eq!(
            page.leads_somewhere().unwrap_err().to_string(),
            "docs/serve.md: `images/none.svg` is not there"
        );
    }

    #[test]
    fn a_heading_has_the_words_that_links_have() {
        for (heading, wanted) in [
            ("With Helm", "with-helm"),
            ("`gatecert.toml`: what it has", "gatecerttoml-what-it-has"),
            ("E-mail & more", "e-mail--more"),
        ] {
            assert_eq!(anchor(&heading.replace('`', "")), wanted);
        }
    }

    #[test]
    fn what_is_compiled_belongs_to_no_scene() {
        let text = "```toml\n[dependencies]\n```\n\n```console\n$ cargo run --example x\n```\n";
        let page = Page::parse_compiled("page.md", text).unwrap();
        assert!(page.blocks.iter().all(|block| block.scene.is_none()), "{page:?}");
        assert!(for_programmers().unwrap().iter().any(|name| name == "crates/acme/README.md"));
    }

    #[test]
    fn a_manifest_belongs_to_the_cluster() {
        let page = parsed("```yaml gateway.yaml\napiVersion: v1\nkind: Namespace\n```\n").unwrap();
        assert_eq!(page.blocks[0].scene, Some(Scene::Cluster));
        assert_eq!(page.blocks[0].file.as_deref(), Some("gateway.yaml"));
        assert_eq!(parsed("```text\n$ shown\n```\n").unwrap().blocks[0].scene, None);
    }
}
