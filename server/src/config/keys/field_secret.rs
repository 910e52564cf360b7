//! The shape of secrets: each has a key of its own, and another key for the name of its file.

use serde_yaml::Value;

use super::field::Field;
use super::key::About;
use super::kind::Kind;
use crate::config::SecretSource;
use crate::config::decode::Context;
use crate::config::secret::MASK;
use crate::config::section::Section;

/// A secret under a key of its own, or in a file that another key names.
pub struct SecretOrFile<S> {
    /// The secret; the outer `None` if the key means nothing for these values.
    pub get: fn(&S) -> Option<Option<SecretSource>>,
    /// Replaces the secret.
    pub set: fn(&mut S, Option<SecretSource>),
    /// The key with the name of the file.
    pub file_key: &'static str,
    /// The warning for an empty secret, if that stands for none.
    pub if_empty: Option<&'static str>,
}

/// The name of the file with a secret. [`SecretOrFile`], its counterpart, reads both.
pub struct FileOfSecret<S> {
    /// As in [`SecretOrFile`].
    pub get: fn(&S) -> Option<Option<SecretSource>>,
}

impl<S> Field<S> for SecretOrFile<S> {
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        if (self.get)(values).is_none() {
            return true;
        }
        if let Some(warning) = self.if_empty
            && section.text(about.name) == Some("")
            && !section.has(self.file_key)
        {
            section.warn(about.name, warning);
            (self.set)(values, None);
            return true;
        }
        (self.set)(values, section.secret(about.name, self.file_key, |text| context.secret_file(text)));
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.get)(values).map(|source| match source {
            Some(SecretSource::Inline(_)) => MASK.into(),
            Some(SecretSource::File(_)) | None => Value::Null,
        })
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        if let (true, Some(source)) = (is_applied, (self.get)(wanted)) {
            (self.set)(running, source);
        }
    }

    fn kind(&self) -> Kind {
        Kind::Secret
    }
}

impl<S> Field<S> for FileOfSecret<S> {
    fn read(&self, _: &About, _: &Section<'_>, _: &Context<'_>, _: &mut S) -> bool {
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.get)(values).map(|source| match source {
            Some(SecretSource::File(file)) => file.display().to_string().into(),
            Some(SecretSource::Inline(_)) | None => Value::Null,
        })
    }

    fn apply_reload(&self, _: bool, _: &mut S, _: &S) {}

    fn kind(&self) -> Kind {
        Kind::SecretFile
    }
}
