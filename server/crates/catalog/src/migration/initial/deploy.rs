//! Workspaces, agents, deployments and their logs.

use sea_orm_migration::prelude::{DbErr, ForeignKey, Index, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, big_integer_null, big_pk_auto, blob, boolean, text, text_null};

use super::names::{Agent, Deployment, DeploymentLog, Workspace};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_workspace(manager).await?;
    create_agent(manager).await?;
    create_deployment(manager).await?;
    manager
        .create_table(
            Table::create()
                .table(DeploymentLog::Table)
                .col(blob(DeploymentLog::Deployment))
                .col(big_integer(DeploymentLog::Number))
                .col(text(DeploymentLog::Time))
                .col(text(DeploymentLog::Line))
                .primary_key(Index::create().col(DeploymentLog::Deployment).col(DeploymentLog::Number))
                .foreign_key(
                    ForeignKey::create()
                        .from(DeploymentLog::Table, DeploymentLog::Deployment)
                        .to(Deployment::Table, Deployment::Id),
                )
                .take(),
        )
        .await
}

async fn create_workspace(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Workspace::Table)
                .col(big_pk_auto(Workspace::Id))
                .col(text(Workspace::Name).unique_key())
                // No foreign key: a workspace that the configuration no longer declares must not keep its cache alive.
                .col(big_integer(Workspace::Cache))
                .col(boolean(Workspace::Enabled))
                .col(big_integer(Workspace::CreatedAt))
                .take(),
        )
        .await
}

async fn create_agent(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Agent::Table)
                .col(blob(Agent::Id).primary_key())
                .col(text(Agent::Name).unique_key())
                .col(big_integer(Agent::Workspace))
                .col(boolean(Agent::Enabled))
                .col(big_integer(Agent::CreatedAt))
                .col(big_integer(Agent::LastNumber))
                .col(text_null(Agent::Version))
                .col(text_null(Agent::System))
                .col(big_integer_null(Agent::LastSeenAt))
                .foreign_key(
                    ForeignKey::create()
                        .from(Agent::Table, Agent::Workspace)
                        .to(Workspace::Table, Workspace::Id),
                )
                .take(),
        )
        .await
}

async fn create_deployment(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Deployment::Table)
                .col(blob(Deployment::Id).primary_key())
                .col(blob(Deployment::Agent))
                .col(big_integer(Deployment::Number))
                .col(text(Deployment::StorePath))
                .col(blob(Deployment::PathHash))
                .col(text_null(Deployment::RollbackScripts))
                .col(text(Deployment::Status))
                .col(big_integer_null(Deployment::ClosureSize))
                .col(big_integer(Deployment::CreatedAt))
                .col(big_integer_null(Deployment::DeliveredAt))
                .col(big_integer_null(Deployment::StartedAt))
                .col(big_integer_null(Deployment::FinishedAt))
                .col(big_integer_null(Deployment::BegunAt))
                .col(big_integer(Deployment::LogLines))
                .col(big_integer(Deployment::LogBytes))
                .col(boolean(Deployment::LogTruncated))
                .foreign_key(
                    ForeignKey::create()
                        .from(Deployment::Table, Deployment::Agent)
                        .to(Agent::Table, Agent::Id),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("deployment_number")
                .table(Deployment::Table)
                .col(Deployment::Agent)
                .col(Deployment::Number)
                .unique()
                .take(),
        )
        .await?;
    // Garbage collection asks whether a path was deployed.
    manager
        .create_index(
            Index::create().name("deployment_path").table(Deployment::Table).col(Deployment::PathHash).take(),
        )
        .await?;
    // Open deployments are queried often.
    manager
        .create_index(
            Index::create()
                .name("deployment_status")
                .table(Deployment::Table)
                .col(Deployment::Status)
                .col(Deployment::Agent)
                .take(),
        )
        .await
}
