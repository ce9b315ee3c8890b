//! SQLite and MySQL through sqlparser: our own rules over its tree, where the tree tells more than keywords.

use sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation as Operation, ColumnDef, ColumnOption, DataType, Expr,
    ObjectType, Statement, TableConstraint,
};
use sqlparser::dialect::{Dialect as Grammar, GenericDialect, MySqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use crate::domain::rule::{
    CASCADE, CONSTRAINT, DROP_COLUMN, DROP_CONSTRAINT, DROP_INDEX, DROP_OBJECT, DROP_SCHEMA, DROP_TABLE,
    NARROWING_TYPE, NOT_NULL, PRIMARY_KEY, REFUSED_BY_SQLITE, RENAME, TOO_MANY, TYPE_CHANGE, UNIQUE,
};
use crate::sql::classify::VERSION_TABLE;
use crate::sql::dialect::Dialect;
use crate::sql::rules::{Found, short};

/// Actions of one statement, and columns of one action, that are told.
const MOST: usize = 50;

/// What the tree of one statement tells; none if it can't be parsed. Without a dialect any syntax is tried.
pub(super) fn find(statement: &str, dialect: Option<Dialect>) -> Option<Found> {
    let grammar: &dyn Grammar = match dialect {
        Some(Dialect::MySql) => &MySqlDialect {},
        Some(Dialect::Sqlite) => &SQLiteDialect {},
        Some(Dialect::PostgreSql) | None => &GenericDialect {},
    };
    let parsed = Parser::new(grammar).try_with_sql(statement).ok()?.parse_statements().ok()?;
    let mut found = Found::new();
    for statement in &parsed {
        one(statement, dialect, &mut found);
    }
    Some(found)
}

fn one(statement: &Statement, dialect: Option<Dialect>, found: &mut Found) {
    match statement {
        Statement::AlterTable(alter) => {
            let table = short(&alter.name.to_string());
            if alter.name.0.last().is_none_or(|part| part.to_string() != VERSION_TABLE) {
                for operation in alter.operations.iter().take(MOST) {
                    operate(&table, operation, dialect, found);
                }
                if alter.operations.len() > MOST {
                    let rest = alter.operations.len() - MOST;
                    found.push((
                        &TOO_MANY,
                        format!("{rest} more actions on {table} follow, and aren't listed."),
                    ));
                }
            }
        }
        Statement::CreateIndex(index) if index.unique => {
            found.push((
                &UNIQUE,
                format!("It fails if {} holds duplicates.", short(&index.table_name.to_string())),
            ));
        }
        Statement::Drop { object_type, names, cascade, .. } => {
            let name = names.first().map_or_else(String::new, |name| short(&name.to_string()));
            match object_type {
                ObjectType::Table if name != VERSION_TABLE => {
                    found.push((&DROP_TABLE, format!("Table {name} and every row in it are lost.")));
                }
                ObjectType::Table => {}
                ObjectType::Schema | ObjectType::Database => {
                    found.push((
                        &DROP_SCHEMA,
                        format!("Everything in {name} is lost, whatever it is by then."),
                    ));
                }
                ObjectType::Index => {
                    found.push((&DROP_INDEX, format!("Queries that used the index {name} get slower.")));
                }
                _ => found.push((&DROP_OBJECT, format!("Code that uses {name} fails."))),
            }
            if *cascade {
                found.push((&CASCADE, format!("What depends on {name} goes with it, unnamed.")));
            }
        }
        _ => {}
    }
}

fn operate(table: &str, operation: &Operation, dialect: Option<Dialect>, found: &mut Found) {
    match operation {
        Operation::AddColumn { column_def, .. } => add_column(table, column_def, dialect, found),
        Operation::AddConstraint { constraint, not_valid } => {
            add_constraint(table, constraint, *not_valid, found);
        }
        Operation::DropColumn { column_names, .. } => {
            for column in column_names.iter().take(MOST) {
                let column = short(&column.value);
                found.push((&DROP_COLUMN, format!("The values of {table}.{column} are lost in every row.")));
            }
            if column_names.len() > MOST {
                found.push((&TOO_MANY, format!("More columns of {table} are dropped than are listed.")));
            }
        }
        Operation::DropConstraint { .. } | Operation::DropForeignKey { .. } => {
            found.push((&DROP_CONSTRAINT, format!("{table} takes rows that it refused before.")));
        }
        Operation::DropPrimaryKey { .. } => {
            found.push((&PRIMARY_KEY, format!("{table} has no primary key from here on, and is rewritten.")));
        }
        Operation::DropIndex { name } => {
            let name = short(&name.value);
            found.push((&DROP_INDEX, format!("Queries on {table} that used {name} get slower.")));
        }
        Operation::RenameColumn { old_column_name, .. } => {
            let column = short(&old_column_name.value);
            found.push((
                &RENAME,
                format!("A column gets another name: code that uses {table}.{column} fails."),
            ));
        }
        Operation::RenameTable { .. } => {
            found.push((&RENAME, format!("A table gets another name: code that uses {table} fails.")));
        }
        Operation::ModifyColumn { col_name: column, data_type, .. }
        | Operation::ChangeColumn { old_name: column, data_type, .. }
        | Operation::AlterColumn {
            column_name: column,
            op: AlterColumnOperation::SetDataType { data_type, .. },
        } => retype(table, &short(&column.value), data_type, found),
        Operation::AlterColumn { column_name, op: AlterColumnOperation::SetNotNull } => {
            let column = short(&column_name.value);
            let why =
                format!("Column {table}.{column} may not be empty any more: it fails if a row has none.");
            found.push((&NOT_NULL, why));
        }
        _ => {}
    }
}

fn retype(table: &str, column: &str, data_type: &DataType, found: &mut Found) {
    found.push((&TYPE_CHANGE, format!("Column {table}.{column} is defined anew: the table is rewritten.")));
    let small = matches!(
        data_type,
        DataType::TinyInt(_)
            | DataType::TinyIntUnsigned(_)
            | DataType::SmallInt(_)
            | DataType::SmallIntUnsigned(_)
            | DataType::Int2(_)
            | DataType::Bool
            | DataType::Boolean
            | DataType::Bit(_)
            | DataType::Date
            | DataType::Char(_)
            | DataType::Character(_)
            | DataType::TinyText
            | DataType::TinyBlob
            | DataType::Enum(..)
            | DataType::Set(_)
            | DataType::Real
    );
    if small {
        let why = format!(
            "Values of {table}.{column} that don't fit {} are refused or cut.",
            short(&data_type.to_string())
        );
        found.push((&NARROWING_TYPE, why));
    }
}

fn add_column(table: &str, column: &ColumnDef, dialect: Option<Dialect>, found: &mut Found) {
    let name = short(&column.name.value);
    let has = |wanted: fn(&ColumnOption) -> bool| column.options.iter().any(|o| wanted(&o.option));
    let filled = has(|o| {
        matches!(
            o,
            ColumnOption::Default(_)
                | ColumnOption::Generated { .. }
                | ColumnOption::Identity(_)
                | ColumnOption::Alias(_)
                | ColumnOption::DialectSpecific(_)
        )
    });
    let unique = has(|o| matches!(o, ColumnOption::Unique(_)));
    let key = has(|o| matches!(o, ColumnOption::PrimaryKey(_)));
    if has(|o| matches!(o, ColumnOption::NotNull)) && !filled {
        let why = format!(
            "Column {table}.{name} may not be empty and has no default: it fails on a table with rows."
        );
        found.push((&NOT_NULL, why));
    }
    if dialect == Some(Dialect::Sqlite) {
        let why = if unique || key {
            Some("SQLite adds no column that is a key or unique")
        } else if has(|o| matches!(o, ColumnOption::Default(value) if !constant(value))) {
            Some("SQLite adds no column whose default has to be worked out")
        } else {
            None
        };
        if let Some(why) = why {
            found.push((&REFUSED_BY_SQLITE, format!("{why}: {table}.{name}.")));
        }
        return;
    }
    if unique {
        found.push((&UNIQUE, format!("It fails if two rows of {table} get the same {name}.")));
    }
    if key {
        found.push((&PRIMARY_KEY, format!("{table} is rewritten with {name} as its key.")));
    }
}

/// Whether SQLite takes this for a default that is the same for every row.
const fn constant(value: &Expr) -> bool {
    match value {
        Expr::Value(_) | Expr::UnaryOp { .. } => true,
        Expr::Identifier(name) => !matches!(name.value.as_bytes(), [b'C' | b'c', b'U' | b'u', ..]),
        _ => false,
    }
}

fn add_constraint(table: &str, constraint: &TableConstraint, not_valid: bool, found: &mut Found) {
    match constraint {
        TableConstraint::Unique(_) => {
            let why = format!("It fails if {table} holds duplicates, and locks it until that is known.");
            found.push((&UNIQUE, why));
        }
        TableConstraint::PrimaryKey(_) => {
            let why = format!("It fails if {table} holds duplicates or gaps, and locks it meanwhile.");
            found.push((&PRIMARY_KEY, why));
        }
        TableConstraint::ForeignKey(_) | TableConstraint::Check(_) if !not_valid => {
            let why =
                format!("Every row of {table} is checked while it is locked; one that refuses stops it.");
            found.push((&CONSTRAINT, why));
        }
        _ => {}
    }
}
