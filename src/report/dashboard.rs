//! The live view of a run on a terminal: curves, numbers, samples, and keys.

use std::collections::VecDeque;
use std::io::{IsTerminal, Stderr, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{ExecutableCommand, cursor};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Wrap};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport, symbols};

use super::Output;
use super::output::grouped;
use crate::train::{Live, Observer, Report, Wish};
use crate::{Error, Result};

/// What is drawn.
struct View {
    steps: u64,
    live: Option<Live>,
    /// Step and mean loss of so many ranges of steps each; more as they become many.
    train: Vec<(f64, f64)>,
    ranges: u32,
    /// The sum and number of the losses of the next point.
    open: (f64, u32),
    /// Step and loss of the validations.
    valid: Vec<(f64, f64)>,
    best: Option<(u64, f64)>,
    said: String,
    samples: String,
}

/// Points of the training curve, an even number that is never reached: more than any terminal has columns.
const MOST_POINTS: usize = 1000;
/// What the keys do, as the last line says it.
const KEYS: &str = " q stop and save   s save   p print samples   h halve the rate";

impl View {
    fn new(steps: u64) -> Self {
        View {
            steps,
            live: None,
            train: Vec::new(),
            ranges: 1,
            open: (0.0, 0),
            valid: Vec::new(),
            best: None,
            said: String::new(),
            samples: String::new(),
        }
    }

    fn live(&mut self, live: Live) {
        self.live = Some(live);
        self.open.0 += live.loss;
        self.open.1 += 1;
        if self.open.1 < self.ranges {
            return;
        }
        let (sum, count) = std::mem::take(&mut self.open);
        self.train.push((live.step as f64, sum / count as f64));
        if self.train.len() == MOST_POINTS {
            // From now on a point stands for twice as many ranges.
            self.ranges *= 2;
            let mean = |pair: &[(f64, f64)]| (pair[1].0, (pair[0].1 + pair[1].1) / 2.0);
            self.train = self.train.chunks_exact(2).map(mean).collect();
        }
    }

    fn report(&mut self, report: &Report, best: bool) {
        if let Some(valid) = report.valid {
            self.valid.push((report.step as f64, valid));
            if best {
                self.best = Some((report.step, valid));
            }
        }
    }

    fn draw(&self, frame: &mut Frame) {
        let rows = [Constraint::Length(1), Constraint::Min(8), Constraint::Length(5), Constraint::Length(1)];
        let [top, middle, samples, bottom] = Layout::vertical(rows).areas(frame.area());
        let (step, numbers) = match self.live {
            Some(live) => (live.step, self.numbers(live)),
            None => (0, String::new()),
        };
        let share = (step as f64 / self.steps.max(1) as f64).clamp(0.0, 1.0);
        frame.render_widget(Gauge::default().ratio(share).label(numbers), top);
        self.draw_curves(frame, middle);
        let text = if self.samples.is_empty() { "press p" } else { &self.samples };
        let block = Block::bordered().title(" samples ");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).block(block), samples);
        let said = if self.said.is_empty() { String::new() } else { format!("   {}", self.said) };
        frame.render_widget(Paragraph::new(Line::from(format!("{KEYS}{said}"))), bottom);
    }

    fn numbers(&self, live: Live) -> String {
        let best =
            self.best.map_or(String::new(), |(step, valid)| format!(", best {valid:.4} at {}", grouped(step as usize)));
        format!(
            "{}/{}  loss {:.4}, rate {}, {} examples/s{best}",
            grouped(live.step as usize),
            grouped(self.steps as usize),
            live.loss,
            live.rate,
            grouped(live.examples_per_second as usize),
        )
    }

    fn draw_curves(&self, frame: &mut Frame, area: Rect) {
        let curve = |name: &'static str, data, color| {
            Dataset::default()
                .name(name)
                .marker(symbols::Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::default().fg(color))
                .data(data)
        };
        let curves = vec![curve("train", &self.train, Color::Cyan), curve("valid", &self.valid, Color::Yellow)];
        let [low, high] = self.range();
        let end = self.train.last().map_or(1.0, |point| point.0).max(1.0);
        let losses = [low, (low + high) / 2.0, high].map(|loss| format!("{loss:.2}"));
        let steps = [0.0, end / 2.0, end].map(|step| grouped(step as usize));
        let chart = Chart::new(curves)
            .block(Block::bordered().title(" loss, nats per token "))
            .hidden_legend_constraints((Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)))
            .x_axis(Axis::default().title("step").bounds([0.0, end]).labels(steps))
            .y_axis(Axis::default().bounds([low, high]).labels(losses));
        frame.render_widget(chart, area);
    }

    /// The losses that are shown: all but the first tenth, which would press the rest together.
    fn range(&self) -> [f64; 2] {
        let settled = &self.train[self.train.len() / 10..];
        let shown = || settled.iter().chain(&self.valid).map(|point| point.1);
        let (low, high) = (shown().fold(f64::INFINITY, f64::min), shown().fold(f64::NEG_INFINITY, f64::max));
        if low > high {
            return [0.0, 1.0];
        }
        let margin = ((high - low) * 0.05).max(0.01);
        [low - margin, high + margin]
    }
}

/// A run shown on a terminal, with keys that steer it.
pub struct Dashboard<B: Backend> {
    output: Output,
    view: View,
    terminal: Terminal<B>,
    wishes: VecDeque<Wish>,
    stop: &'static AtomicBool,
    /// The next key that was pressed, if there is one.
    next_key: fn() -> Option<Key>,
    /// Gives the terminal back at the end.
    _taken: Option<Taken>,
}

/// A key, and whether Ctrl was down.
type Key = (char, bool);

impl Dashboard<CrosstermBackend<Stderr>> {
    /// Takes over the terminal on stderr for a run of `steps` steps; `stop` is set by the key that stops it.
    pub fn on_terminal(output: Output, steps: u64, stop: &'static AtomicBool) -> Result<Self> {
        let taken = Some(Taken);
        let take_over = || -> std::io::Result<Terminal<_>> {
            enable_raw_mode()?;
            stderr().execute(EnterAlternateScreen)?.execute(Clear(ClearType::All))?.execute(cursor::Hide)?;
            let options = TerminalOptions { viewport: Viewport::Fullscreen };
            Terminal::with_options(CrosstermBackend::new(stderr()), options)
        };
        let terminal = take_over().map_err(no_terminal)?;
        // A panic's message must not be lost on a screen that goes away.
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            default(panic);
        }));
        Ok(Dashboard { _taken: taken, ..Dashboard::new(output, steps, terminal, stop, pressed) })
    }
}

/// An error where there is no terminal to draw on and to read keys from.
pub fn require_terminal() -> Result<()> {
    if stderr().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Error::usage(
        "--dashboard draws on a terminal and reads its keys, but stdin or stderr is none. Leave it out, or read --json \
         or metrics.jsonl"
            .to_owned(),
    ))
}

fn no_terminal(source: std::io::Error) -> Error {
    Error::file(std::path::Path::new("the terminal"), "draw on", source)
}

/// The terminal as it was found.
fn give_back() {
    // A terminal that is gone needs nothing.
    let _ = disable_raw_mode();
    let _ = stderr().execute(LeaveAlternateScreen).and_then(|stderr| stderr.execute(cursor::Show));
}

fn pressed() -> Option<Key> {
    while event::poll(Duration::ZERO).unwrap_or(false) {
        if let Ok(Event::Key(key)) = event::read()
            && key.kind == KeyEventKind::Press
            && let KeyCode::Char(letter) = key.code
        {
            return Some((letter, key.modifiers.contains(KeyModifiers::CONTROL)));
        }
    }
    None
}

impl<B: Backend> Dashboard<B> {
    fn new(
        output: Output,
        steps: u64,
        terminal: Terminal<B>,
        stop: &'static AtomicBool,
        next_key: fn() -> Option<Key>,
    ) -> Self {
        Dashboard { output, view: View::new(steps), terminal, wishes: VecDeque::new(), stop, next_key, _taken: None }
    }

    fn refresh(&mut self) {
        while let Some((letter, control)) = (self.next_key)() {
            match (letter, control) {
                ('q', false) | ('c', true) => {
                    self.view.said = "stopping".to_owned();
                    self.stop.store(true, Ordering::Relaxed);
                }
                ('s', false) => self.wishes.push_back(Wish::Save),
                ('p', false) => self.wishes.push_back(Wish::Sample),
                ('h', false) => self.wishes.push_back(Wish::HalveRate),
                _ => {}
            }
        }
        // A terminal that cannot be drawn on is no reason to end a run.
        let _ = self.terminal.draw(|frame| self.view.draw(frame));
    }
}

impl<B: Backend> Observer for Dashboard<B> {
    fn wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    fn granted(&mut self, wish: Wish, result: &str) {
        match wish {
            Wish::Sample => self.view.samples = result.to_owned(),
            Wish::Save | Wish::HalveRate => self.view.said = result.to_owned(),
        }
        self.refresh();
    }

    fn live(&mut self, live: Live) {
        self.view.live(live);
        self.refresh();
    }

    fn report(&mut self, report: &Report, best: bool) -> Result<()> {
        self.view.report(report, best);
        self.output.event("report", report)
    }
}

/// A terminal that was taken over: it is given back however the run ends.
struct Taken;

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;

    static STOP: AtomicBool = AtomicBool::new(false);
    const OUTPUT: Output = Output { json: false, quiet: true, verbose: false };

    fn dashboard(next_key: fn() -> Option<Key>) -> Dashboard<TestBackend> {
        Dashboard::new(OUTPUT, 1000, Terminal::new(TestBackend::new(100, 24)).unwrap(), &STOP, next_key)
    }

    fn live(step: u64, loss: f64) -> Live {
        Live { step, loss, rate: 0.1, examples_per_second: 12_345.0 }
    }

    #[test]
    fn the_screen_shows_numbers_curves_and_samples() {
        let mut dashboard = dashboard(|| None);
        for step in 1..=50 {
            dashboard.live(live(step * 10, 3.0 - step as f64 * 0.01));
        }
        let report = Report {
            step: 500,
            epoch: 1.0,
            loss: 2.5,
            valid: Some(2.4567),
            rate: 0.1,
            seconds: 1.0,
            examples_per_second: 1.0,
        };
        dashboard.report(&report, true).unwrap();
        dashboard.granted(Wish::Sample, "emma  olivia");
        let screen = dashboard.terminal.backend().to_string();
        for text in
            ["500/1,000", "loss 2.5000", "best 2.4567 at 500", "12,345", "emma  olivia", "train", "valid", "halve"]
        {
            assert!(screen.contains(text), "{text}:\n{screen}");
        }
        let dots = screen.chars().filter(|character| ('\u{2801}'..='\u{28ff}').contains(character)).count();
        assert!(dots > 20, "no curve:\n{screen}");
    }

    #[test]
    fn keys_become_wishes_and_q_stops() {
        use std::sync::atomic::AtomicUsize;
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let keys = || {
            [('s', false), ('x', false), ('h', false), ('p', false), ('q', false)]
                .get(NEXT.fetch_add(1, Ordering::Relaxed))
                .copied()
        };
        let mut dashboard = dashboard(keys);
        dashboard.live(live(1, 1.0));
        let wishes: Vec<Wish> = std::iter::from_fn(|| dashboard.wish()).collect();
        assert_eq!(wishes, [Wish::Save, Wish::HalveRate, Wish::Sample]);
        assert!(STOP.load(Ordering::Relaxed));
    }

    #[test]
    fn a_long_run_keeps_a_curve_of_bounded_length() {
        let mut view = View::new(1);
        (0..10_000).for_each(|step| view.live(live(step, step as f64)));
        assert!((MOST_POINTS / 2 - 1..MOST_POINTS).contains(&view.train.len()));
        assert!(view.train.iter().all(|&(step, loss)| (step - loss).abs() < 40.0));
    }
}
