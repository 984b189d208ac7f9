//! Words that stand in an object where a chart has values.

/// What all of the words begin with.
pub(super) const MARK: &str = "blank-";

/// The controller's namespace.
pub(super) const NAMESPACE: &str = "blank-namespace";

/// The image.
pub(super) const IMAGE: &str = "blank-image";

/// The one namespace that is served.
pub(super) const ONLY_NAMESPACE: &str = "blank-only";

/// The number of replicas.
pub(super) const REPLICAS: &str = "blank-replicas";

/// The resources of the container.
pub(super) const RESOURCES: &str = "blank-resources";

/// Further arguments.
pub(super) const ARGUMENTS: &str = "blank-arguments";

/// The controller's namespace in a template.
pub(super) const NAMESPACE_VALUE: &str = ".Values.namespace | default .Release.Namespace";

/// A line of an object as a line of a template.
pub(super) fn template(line: &str) -> String {
    let indent = &line[..line.len() - line.trim_start().len()];
    let around =
        |begin: &str, line: &str| format!("{indent}{{{{- {begin} }}}}\n{line}\n{indent}{{{{- end }}}}");
    if line.contains(ARGUMENTS) {
        return around("range .Values.extraArgs", &format!("{indent}- {{{{ . | quote }}}}"));
    }
    let filled = line
        .replace(REPLICAS, "{{ .Values.replicas }}")
        // JSON is YAML whatever the indentation.
        .replace(RESOURCES, "{{ toJson .Values.resources }}");
    if filled != line || !line.contains(MARK) {
        return filled;
    }
    let filled = quoted(line)
        .replace(NAMESPACE, &format!("{{{{ {NAMESPACE_VALUE} }}}}"))
        .replace(IMAGE, "{{ .Values.image }}")
        .replace(ONLY_NAMESPACE, "{{ .Values.onlyNamespace }}");
    match line.contains("--only-namespace=") {
        true => around("if .Values.onlyNamespace", &filled),
        false => filled,
    }
}

/// A line with quotes around its value: one such as `123` must stay a text.
fn quoted(line: &str) -> String {
    let start = line.find(": ").or_else(|| line.find("- ")).map_or(0, |at| at + 2);
    format!("{}\"{}\"", &line[..start], &line[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_templates() {
        for (line, expected) in [
            ("  port: 8089", "  port: 8089"),
            (
                "  namespace: blank-namespace",
                "  namespace: \"{{ .Values.namespace | default .Release.Namespace }}\"",
            ),
            (
                "  host: a.blank-namespace.svc",
                "  host: \"a.{{ .Values.namespace | default .Release.Namespace }}.svc\"",
            ),
            ("  replicas: blank-replicas", "  replicas: {{ .Values.replicas }}"),
            (
                "  - --only-namespace=blank-only",
                "  {{- if .Values.onlyNamespace }}\n  - \"--only-namespace={{ .Values.onlyNamespace }}\"\n  {{- end }}",
            ),
            ("  - blank-arguments", "  {{- range .Values.extraArgs }}\n  - {{ . | quote }}\n  {{- end }}"),
        ] {
            assert_eq!(template(line), expected);
        }
    }
}
