use super::*;
use serde_json::json;
use std::time::{Duration, Instant};

fn run(source: &str, object: serde_json::Value) -> Result<Value, Fault> {
    let program = Program::compile(source).unwrap_or_else(|e| panic!("{source}: {e}"));
    let variables = Variables::from([("self", from_json(&object, &Type::Dyn))]);
    program.evaluate(&variables, &mut Budget::default())
}

#[test]
fn expressions_mean_what_they_mean_upstream() {
    let object = json!({"n": 3, "s": "hello", "l": [1, 2, 3], "m": {"a": 1, "b": 2}, "d": 1.5, "q": "1Gi", "ip": "10.0.0.1", "e": []});
    let truths = [
        "self.n > 2 && self.s.startsWith('he')",
        "self.l.all(x, x > 0) && self.l.exists(x, x == 2) && self.l.exists_one(x, x > 2)",
        "self.l.map(x, x * 2) == [2, 4, 6] && self.l.filter(x, x % 2 == 1).size() == 2",
        "self.m.all(k, self.m[k] > 0) && 'a' in self.m && !('z' in self.m)",
        "has(self.n) && !has(self.missing)",
        "1 == 1.0 && 2u == 2 && self.d > 1",
        "self.?missing.orValue('x') == 'x' && self.?n.hasValue() && self[?'s'].orValue('') == 'hello'",
        "quantity(self.q).isGreaterThan(quantity('500Mi')) && isIP(self.ip)",
        "self.s.matches('^h.*o$') && self.s.upperAscii() == 'HELLO' && self.s.size() == 5",
        "cel.bind(x, self.n + 1, x * x == 16)",
        "timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')",
        "self.e.size() == 0 || self.e[0] == 1",
        "false || (self.missing == 1 || true)",
        "[0, 1].exists(x, 1 / x == 1)",
        "self.l.all(i, v, v == i + 1) && self.l.transformList(i, v, v + i) == [1, 3, 5]",
        "math.greatest(1, 5) == 5 && sets.contains([1, 2], [1]) && [1, 2, 3].sum() == 6",
        "type(self.n) == int && string(self.n) == '3' && int('7') == 7",
        "(self.n > 1 ? 'big' : 'small') == 'big' && self.l + [4] == [1, 2, 3, 4]",
        "optional.of(3).optMap(x, x + 1).orValue(0) == 4",
    ];
    for source in truths {
        assert_eq!(run(source, object.clone()), Ok(Value::Bool(true)), "{source}");
    }
    let faults = [
        ("self.missing == 1", "no such key: missing"),
        ("self.l[9] == 1", "index out of bounds: 9"),
        ("self.n / 0 == 1", "division by zero"),
        ("self.n + 's' == 1", "no such overload"),
        ("9223372036854775807 + 1 == 0", "integer overflow"),
        ("other == 1", "undeclared reference to 'other'"),
    ];
    for (source, fault) in faults {
        assert_eq!(run(source, object.clone()).unwrap_err().to_string(), fault, "{source}");
    }
}

#[test]
fn hostile_expressions_end_quickly() {
    let numbers: Vec<u32> = (0..2000).collect();
    let long = "x".repeat(200_000);
    let object = json!({"l": numbers, "s": long});
    let hostile = [
        "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))".to_string(),
        "self.l.map(a, self.l.map(b, self.l)).size() > 0".to_string(),
        "self.s.replace('x', self.s).size() > 0".to_string(),
        "lists.range(1000000000).size() > 0".to_string(),
        "self.l.map(a, self.s.matches('(x+x+)+y')).size() > 0".to_string(),
        "'%.999999999f'.format([1.0]).size() > 0".to_string(),
        "self.l.map(a, self.s + self.s).size() > 0".to_string(),
        "sets.equivalent(self.l, self.l) && self.l.all(a, sets.equivalent(self.l, self.l))".to_string(),
        format!("{}self.s{}", "cel.bind(a, ".repeat(30), ", a + a)".repeat(30)),
    ];
    for source in hostile {
        let begun = Instant::now();
        let fault = run(&source, object.clone()).expect_err(&source);
        assert!(begun.elapsed() < Duration::from_secs(5), "{source}: {:?}", begun.elapsed());
        let _ = fault.to_string();
    }
    for source in
        ["(".repeat(5000), format!("1{}", "+1".repeat(4000)), "[".repeat(9000), "!".repeat(9000), format!("a{}", ".a".repeat(4500))]
    {
        let begun = Instant::now();
        assert!(Program::compile(&source).is_err(), "{source:.20}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{source:.20}: {:?}", begun.elapsed());
    }
    assert_eq!(Program::compile(&"a".repeat(20_000)).unwrap_err(), CompileError::TooLong);
}

#[test]
fn checks_name_what_cannot_be() {
    let spec = Type::object([
        ("replicas".to_string(), Type::Int),
        ("name".to_string(), Type::String(63)),
        ("x-y".to_string(), Type::Bool),
        ("items".to_string(), Type::List(Type::Int.into(), 10)),
        ("grid".to_string(), Type::List(Type::List(Type::Int.into(), 1 << 20).into(), 1 << 20)),
    ]);
    let check = |source: &str| Program::compile(source).and_then(|p| p.check(&[("self", spec.clone())]));
    for good in ["self.replicas > 1", "self.x__dash__y", "self.items.all(i, i > 0)", "self.items.map(i, string(i)).join(',') == ''"] {
        assert_eq!(check(good).map(|c| c.result), Ok(Type::Bool), "{good}");
    }
    let bad = [
        ("self.replica > 1", "undefined field 'replica'"),
        ("self.replicas > 'a'", "found no matching overload for '_>_' applied to '(int, string)'"),
        ("selff.x", "undeclared reference to 'selff' (in container '')"),
        ("nosuch(self.replicas)", "undeclared reference to 'nosuch'"),
        ("self.name && true", "found no matching overload for '_&&_' applied to '(string, bool)'"),
    ];
    for (source, words) in bad {
        let error = check(source).unwrap_err().to_string();
        assert!(error.starts_with("compilation failed: ERROR: <input>:1:") && error.contains(words), "{source}: {error}");
    }
    assert!(Program::compile("self.a ==").unwrap_err().to_string().contains("Syntax error"));
    assert!(check("self.items.all(i, i > 0)").unwrap().cost < 1000);
    assert!(check("self.grid.all(a, a.all(b, b > 0))").unwrap().cost > RULE_ESTIMATE_LIMIT);
    assert!(
        cost_message("estimated rule cost", 40_000_000, RULE_ESTIMATE_LIMIT)
            .starts_with("estimated rule cost exceeds budget by factor of 4.0x")
    );
}

#[test]
fn names_of_fields_are_escaped() {
    for (name, spelled) in
        [("a-b", "a__dash__b"), ("namespace", "__namespace__"), ("a.b/c", "a__dot__b__slash__c"), ("a__b", "a__underscores__b")]
    {
        assert_eq!(escape(name).as_deref(), Some(spelled));
    }
    assert_eq!(escape("0a"), None);
    assert_eq!(to_json(&from_json(&json!({"a": [1, "x", null, 1.5]}), &Type::Dyn)), Some(json!({"a": [1, "x", null, 1.5]})));
}
