use std::fmt::Write as _;

use super::*;

/// The routes that demand nothing.
const OPEN: &[&str] = &[
    "/",
    "/health/live",
    "/health/ready",
    "/nar/{other}",
    "/deploy/{id}",
    "/assets/{file}",
    "/api/v1/oidc/token",
];

/// Methods, path, demand and site of each route. A new route belongs into this file too, so that it shows in review.
const SURFACE: &str = include_str!("surface.txt");

fn methods(route: &Route) -> String {
    route.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(",")
}

/// A path that the route takes, without what its site determines and without the slash in front.
fn sample(route: &Route) -> String {
    let path = route.path.strip_prefix("/api/v1/cache/{cache}").unwrap_or(route.path);
    let samples = [
        ("{hash}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5"),
        ("{nar}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.zst"),
        ("{other}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.lzma"),
        ("{id}", "6a7d1d2e-6a0e-4f0c-9a40-0a8e3a0f9d11"),
        ("{number}", "7"),
        ("{drv}", "hello.drv"),
        ("{file}", "out.doi"),
        ("{ticket}", "ticket"),
        ("{path..}", "bin/hello"),
        ("{cache}", "main"),
        ("{workspace}", "fleet"),
        ("{agent}", "machine"),
    ];
    let path = samples.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}: what stands for this parameter?");
    path.strip_prefix('/').unwrap_or(&path).to_owned()
}

/// Whether two routes are found among the paths of the same place.
fn share_paths(one: &Route, other: &Route) -> bool {
    one.site == other.site || one.site == Cache || other.site == Cache
}

#[test]
fn every_path_belongs_to_one_route() {
    let table = all();
    for (number, route) in table.iter().enumerate() {
        let path = sample(route);
        for (other_number, other) in table.iter().enumerate().filter(|(_, other)| share_paths(route, other)) {
            let is_same_method = route.methods.iter().any(|method| other.methods.contains(method));
            let takes = is_same_method && other.find(&path).is_some();
            assert_eq!(takes, number == other_number, "{path}: {} and {}", route.path, other.path);
        }
    }
}

#[test]
fn only_listed_routes_are_open() {
    let table = all();
    let open: Vec<&str> =
        table.iter().filter(|route| route.demand == "Nothing").map(|route| route.path).collect();
    assert_eq!(open, OPEN);
}

#[test]
fn the_surface_is_as_documented() {
    let mut surface = String::new();
    for route in all() {
        let (methods, site) = (methods(&route), format!("{:?}", route.site));
        let _ = writeln!(surface, "{methods:<8}  {:<56}  {:<15}  {site}", route.path, route.demand);
    }
    assert_eq!(surface, SURFACE, "this belongs into server/src/http/routes/surface.txt:\n{surface}");
}
