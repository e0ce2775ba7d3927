#!/bin/sh
# Runs once, when PostgreSQL's volume is empty: a database for Airflow and one for Airlock, each with its own user.
set -eu

create() {
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set name="$1" --set password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

create airflow "$AIRFLOW_DATABASE_PASSWORD"
create airlock "$AIRLOCK_DATABASE_PASSWORD"
