use super::{Look, plain};

/// Named values, one per line, that describe one thing.
#[derive(Debug, Default)]
pub struct Fields(Vec<(&'static str, Vec<String>)>);

impl Fields {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn add(&mut self, name: &'static str, value: impl AsRef<str>) -> &mut Self {
        self.0.push((name, vec![plain(value.as_ref())]));
        self
    }

    /// Adds a list of values under one name, one per line; `-` if it is empty.
    pub fn add_list<T: AsRef<str>>(&mut self, name: &'static str, values: &[T]) -> &mut Self {
        if values.is_empty() {
            return self.add(name, "-");
        }
        self.0.push((name, values.iter().map(|value| plain(value.as_ref())).collect()));
        self
    }

    /// Renders the lines. Values are never wrapped, so that they can be copied.
    pub fn render(&self, look: &Look) -> String {
        let widest = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, values) in &self.0 {
            let mut label = look.bold(&format!("{name:widest$}"));
            for value in values {
                text.push_str(&format!("{label}  {value}\n"));
                label = " ".repeat(widest);
            }
        }
        text
    }
}
