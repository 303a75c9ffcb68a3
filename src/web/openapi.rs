//! The description of the API (OpenAPI 3.1), made from the types of its requests and answers.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::api_error::ErrorBody;
use super::commands::{CallBody, DoneBody, LineBody, ModeBody, OutputBody, PlayBody, PressBody};
use crate::control::{EventRecord, Fault, FullStatus};

/// The description, as `GET /api/openapi.json` has it.
pub fn openapi() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "callbox",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An intercom station: its status, what happens at it, and its commands.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token of control.http_token_file." },
            },
        },
    })
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    let status = json_of::<FullStatus>(schemas);
    let faults = json_of::<Vec<Fault>>(schemas);
    let events = json!({ "text/event-stream": { "schema": schema::<EventRecord>(schemas) } });
    let text = json!({ "text/plain": { "schema": { "type": "string" } } });
    let mut paths = Map::new();
    let mut add = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    add("/healthz", health(&text));
    add("/metrics", reading(schemas, "metrics", "Numbers for Prometheus, in its text format.", text));
    add("/api/status", reading(schemas, "status", "How the station stands.", status));
    add("/api/faults", reading(schemas, "faults", "What does not work, each with its remedy.", faults));
    let what = "What happens from now on: a line `data:` with a record for each event.";
    add("/api/events", reading(schemas, "events", what, events));
    let any = json!({ "application/json": { "schema": { "type": "object" } } });
    add("/api/openapi.json", reading(schemas, "openapi", "This description.", any));
    let press = "Do what a press of this button would do.";
    add("/api/press/{name}", command::<PressBody>(schemas, "press", press, Some("button")));
    add("/api/call", command::<CallBody>(schemas, "call", "Call a number.", None));
    add("/api/hangup", command::<LineBody>(schemas, "hangup", "Hang up one line or all.", None));
    add("/api/answer", command::<LineBody>(schemas, "answer", "Answer a call that rings here.", None));
    let output = "Switch an output on or off, or pulse it.";
    add("/api/output/{name}", command::<OutputBody>(schemas, "output", output, Some("output")));
    add("/api/mode/{name}", command::<ModeBody>(schemas, "mode", "Switch a mode of the house.", Some("mode")));
    let play = "Play a sound or a prompt now.";
    add("/api/play/{name}", command::<PlayBody>(schemas, "play", play, Some("sound or prompt")));
    Value::Object(paths)
}

fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

fn json_of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({ "application/json": { "schema": schema::<T>(schemas) } })
}

fn health(text: &Value) -> Value {
    json!({ "get": {
        "operationId": "healthz",
        "summary": "Whether the station does its work.",
        "security": [],
        "responses": {
            "200": { "description": "It does.", "content": text },
            "503": { "description": "It does not; the text says why.", "content": text },
        },
    } })
}

fn reading(schemas: &mut SchemaGenerator, id: &str, summary: &str, content: Value) -> Value {
    let mut responses = errors(schemas, &["401", "429", "503"]);
    responses.insert("200".into(), json!({ "description": summary, "content": content }));
    json!({ "get": { "operationId": id, "summary": summary, "responses": responses } })
}

/// A command; `named` is what the name in its path names.
fn command<B: JsonSchema>(schemas: &mut SchemaGenerator, id: &str, summary: &str, named: Option<&str>) -> Value {
    let statuses: &[&str] = match named {
        Some(_) => &["400", "401", "403", "404", "409", "415", "429", "503"],
        None => &["400", "401", "403", "409", "415", "429", "503"],
    };
    let mut responses = errors(schemas, statuses);
    responses.insert("200".into(), json!({ "description": "It is done.", "content": json_of::<DoneBody>(schemas) }));
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "requestBody": { "required": true, "content": json_of::<B>(schemas) },
        "responses": responses,
    });
    if let (Some(named), Some(fields)) = (named, operation.as_object_mut()) {
        let parameter = json!({
            "name": "name", "in": "path", "required": true, "schema": { "type": "string" },
            "description": format!("The name of the {named}."),
        });
        fields.insert("parameters".into(), json!([parameter]));
    }
    json!({ "post": operation })
}

fn errors(schemas: &mut SchemaGenerator, statuses: &[&str]) -> Map<String, Value> {
    let response = |status: &&str| {
        let description = match *status {
            "400" => "The body is not what the command takes.",
            "401" => "The request has no token, or a wrong one.",
            "403" => "Nothing can be commanded, since no token is configured; or a page of another server asks.",
            "404" => "There is nothing of this name.",
            "409" => "The station cannot do it now.",
            "415" => "The content type is not application/json.",
            "429" => "Too many wrong tokens came from this network.",
            _ => "The station has stopped.",
        };
        ((*status).to_owned(), json!({ "description": description, "content": json_of::<ErrorBody>(schemas) }))
    };
    statuses.iter().map(response).collect()
}
