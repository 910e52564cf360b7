//! Access to one field of a settings struct.

/// How to get from the struct of a mapping to the value of one of its keys.
pub struct Lens<S, T> {
    /// The value. `None` if these settings have no such field, as a local storage has no bucket.
    pub get: fn(&S) -> Option<&T>,
    /// The same, to change it.
    pub get_mut: fn(&mut S) -> Option<&mut T>,
}

/// The [`Lens`] for a field by its path: `lens!(ServerConfig, log.filter)`.
macro_rules! lens {
    ($settings:ty, $($field:ident).+) => {
        $crate::config::keys::lens::Lens {
            get: |settings: &$settings| Some(&settings.$($field).+),
            get_mut: |settings: &mut $settings| Some(&mut settings.$($field).+),
        }
    };
}
pub(super) use lens;
