//! Columns whose values are more than the database's own types: hashes, ids, sizes, words and lists.
//!
//! This program wrote every value, so one that does not convert means a damaged database. Reading it gives an error that
//! names the table and the column: see [`Damage`].

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{
    ColIdx, DbErr, EntityName, FromQueryResult, QueryResult, TryFromU64, TryGetError, TryGetable, Value,
};

/// A type that a column can hold.
pub trait Stored: Clone {
    /// What the database holds: `Vec<u8>`, `String` or `i64`.
    type Raw: TryGetable + ValueType + Nullable + Into<Value>;

    /// Returns what the database is to hold.
    fn to_raw(&self) -> Self::Raw;

    /// Reads what the database holds. The error says what was found instead of a valid value.
    fn from_raw(raw: Self::Raw) -> Result<Self, String>;
}

/// Returns a value as a parameter of a query.
pub(crate) fn stored<T: Stored>(value: &T) -> Value {
    value.to_raw().into()
}

/// A value in a column of the table `E`.
pub struct Field<E, T> {
    value: T,
    table: PhantomData<fn() -> E>,
}

impl<E, T> Field<E, T> {
    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<E, T> Deref for Field<E, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<E, T> From<T> for Field<E, T> {
    fn from(value: T) -> Self {
        Self { value, table: PhantomData }
    }
}

impl<E, T: Clone> Clone for Field<E, T> {
    fn clone(&self) -> Self {
        self.value.clone().into()
    }
}

impl<E, T: fmt::Debug> fmt::Debug for Field<E, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

impl<E, T: PartialEq> PartialEq for Field<E, T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<E, T: Eq> Eq for Field<E, T> {}

impl<E, T: Stored> From<Field<E, T>> for Value {
    fn from(field: Field<E, T>) -> Self {
        stored(&field.value)
    }
}

impl<E: EntityName + Default, T: Stored> TryGetable for Field<E, T> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let raw = T::Raw::try_get_by(row, index)?;
        T::from_raw(raw).map(Self::from).map_err(|found| {
            let damage = Damage { table: E::default().table_name(), column: column_name(row, index), found };
            TryGetError::DbErr(damage.into())
        })
    }
}

/// The name of a column, without the prefix that sea-orm gives the columns of joined tables.
fn column_name<I: ColIdx>(row: &QueryResult, index: I) -> String {
    let name = match index.as_str() {
        Some(name) => name.to_owned(),
        None => {
            index.as_usize().and_then(|&number| row.column_names().get(number).cloned()).unwrap_or_default()
        }
    };
    match name.strip_prefix("A_").or_else(|| name.strip_prefix("B_")) {
        Some(bare) => bare.to_owned(),
        None => name,
    }
}

impl<E, T: Stored> ValueType for Field<E, T> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        let raw = <T::Raw as ValueType>::try_from(value)?;
        T::from_raw(raw).map(Self::from).map_err(|_| ValueTypeErr)
    }

    fn type_name() -> String {
        T::Raw::type_name()
    }

    fn array_type() -> ArrayType {
        T::Raw::array_type()
    }

    fn column_type() -> ColumnType {
        T::Raw::column_type()
    }
}

impl<E, T: Stored> Nullable for Field<E, T> {
    fn null() -> Value {
        T::Raw::null()
    }
}

/// Keys of this kind are never made by the database.
impl<E, T> TryFromU64 for Field<E, T> {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("a column that is not a number"))
    }
}

/// A joined row that is an error if it cannot be read. By itself, sea-orm treats such a row as missing.
pub struct Joined<M>(pub M);

impl<M: FromQueryResult> FromQueryResult for Joined<M> {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        M::from_query_result(row, prefix).map(Self)
    }

    fn from_query_result_optional(row: &QueryResult, prefix: &str) -> Result<Option<Self>, DbErr> {
        match M::from_query_result_nullable(row, prefix) {
            Ok(model) => Ok(Some(Self(model))),
            Err(TryGetError::Null(_)) => Ok(None),
            Err(TryGetError::DbErr(error)) => Err(error),
        }
    }
}

/// A value that this program never writes, on its way through the errors of sea-orm. It becomes
/// [`crate::CatalogError::Corrupt`].
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) table: &'static str,
    pub(crate) column: String,
    pub(crate) found: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "column {} of {} holds {}", self.column, self.table, self.found)
    }
}

impl Error for Damage {}

impl From<Damage> for DbErr {
    fn from(damage: Damage) -> Self {
        Self::TryIntoErr { from: "column", into: "value", source: Arc::new(damage) }
    }
}

impl Damage {
    /// Finds the damage that an error of sea-orm reports.
    pub(crate) fn in_error(error: &DbErr) -> Option<&Self> {
        match error {
            DbErr::TryIntoErr { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }
}
