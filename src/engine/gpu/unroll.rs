//! Lines of a shader that stand for several: tiles in registers need every number named, and drivers do not unroll loops
//! over arrays of that size (on lavapipe a product of 16 x 20 numbers an invocation makes 2.4 GFLOP/s with loops, and 24
//! with the lines written out), and a GPU may wait for memory in each round of a loop.

use std::borrow::Cow;

/// Numbers that a line can name, in the order in which its copies follow each other.
const NAMES: [char; 5] = ['k', 's', 'r', 'g', 'q'];
const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

/// The text for tiles of `rows` rows (a multiple of 4) and `quads` times four columns.
///
/// A line that names `{r}` comes once for each row, one with `{g}` for each four rows, one with `{q}` for each four columns,
/// one with `{k}` four times, one with `{s}` thirty-two times; so do all lines together from `// repeat {q}` to `// end`.
/// `{r/4}` is the row's four, `{r%4}` its place there and `{r.}` that place as a vector's component; `{rows}`, `{groups}` and
/// `{quads}` are how many there are.
pub(super) fn unrolled(source: &'static str, rows: u32, quads: u32) -> Cow<'static, str> {
    let counts = [4, 32, rows, rows / 4, quads];
    let numbers = [("{rows}", rows), ("{groups}", rows / 4), ("{quads}", quads)];
    let source = numbers.iter().fold(source.to_owned(), |text, (name, number)| text.replace(name, &number.to_string()));
    let lines: Vec<String> = source.lines().map(str::to_owned).collect();
    let mut text = String::with_capacity(8 * source.len());
    expand(&lines, counts, &mut text);
    text.into()
}

fn expand(lines: &[String], counts: [u32; NAMES.len()], text: &mut String) {
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        rest = after;
        let code = line.trim_start();
        if let Some(name) = code.strip_prefix("// repeat {").and_then(|name| name.chars().next()) {
            let end = rest.iter().position(|line| line.trim_start() == "// end").unwrap_or(rest.len());
            for i in 0..counts[place_of(name)] {
                let copies: Vec<String> = rest[..end].iter().map(|line| named(line, name, i)).collect();
                expand(&copies, counts, text);
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        } else if code.starts_with("//") {
            text.extend([line, "\n"]);
        } else if let Some(name) = NAMES.into_iter().find(|&name| names(line, name)) {
            let copies: Vec<String> = (0..counts[place_of(name)]).map(|i| named(line, name, i)).collect();
            expand(&copies, counts, text);
        } else {
            text.extend([line, "\n"]);
        }
    }
}

fn place_of(name: char) -> usize {
    NAMES.iter().position(|&known| known == name).unwrap_or_default()
}

fn names(line: &str, name: char) -> bool {
    ["}", "/4}", "%4}", ".}"].iter().any(|end| line.contains(&format!("{{{name}{end}")))
}

fn named(line: &str, name: char, i: u32) -> String {
    line.replace(&format!("{{{name}}}"), &i.to_string())
        .replace(&format!("{{{name}/4}}"), &(i / 4).to_string())
        .replace(&format!("{{{name}%4}}"), &(i % 4).to_string())
        .replace(&format!("{{{name}.}}"), COMPONENTS[i as usize % 4])
}

#[cfg(test)]
mod tests {
    use super::unrolled;

    #[test]
    fn lines_come_once_for_each_number_that_they_name() {
        let source = "// {r} stays\na{r}_{q} = x{r/4}.{r.} * {r%4};\n// repeat {q}\nb{q};\nc{q}{k};\n// end\n{groups}, {quads}, {rows};\nd{s};";
        let text = unrolled(source, 8, 2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 16 + 2 * (1 + 4) + 1 + 32);
        assert_eq!(lines[..3], ["// {r} stays", "a0_0 = x0.x * 0;", "a0_1 = x0.x * 0;"]);
        assert_eq!(lines[16], "a7_1 = x1.w * 3;");
        assert_eq!(lines[17..23], ["b0;", "c00;", "c01;", "c02;", "c03;", "b1;"]);
        assert_eq!((lines[27], lines[59]), ("2, 2, 8;", "d31;"));
    }
}
