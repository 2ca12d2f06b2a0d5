//! Inlines the functions that a file defines: every call becomes the nodes of the function's body.
//!
//! ```text
//!   function Swish(a; beta) -> b                call 7: Swish(x; beta = 2) -> y
//!     s = Scaled(a; by = its beta)      =>        's of call 7' = Scaled(x; by = 2)
//!     b = Mul(a, s)                               y             = Mul(x, 's of call 7')
//! ```
//!
//! Invariants:
//!
//! * I1: values of a body get unique names in every call, so calls never interfere.
//! * I2: the depth of calls and the total of nodes, names and bytes of all bodies are bounded and counted before they are made: a few
//!   functions that call each other twice could make any number of nodes.
//! * I3: a function takes precedence over an operator of the same name.

use std::collections::{BTreeMap, HashMap};

use prost::Message;

use crate::error::{Fault, Refusal, refuse};
use crate::onnx::{MESSAGES_MAX, ONNX_BYTES_MAX, STRINGS_MAX, domain};
use crate::proto;

/// Deepest nesting of calls. Exporters make functions of modules, so this bounds the nesting of modules.
const DEPTH_MAX: usize = 32;

/// Domain, name and overload.
type Key = (String, String, String);

/// A function, with lookup tables by name.
struct Function {
    inputs: Vec<String>,
    outputs: Vec<String>,
    nodes: Vec<proto::Node>,
    /// The attributes with their defaults.
    attributes: HashMap<String, Option<proto::Attribute>>,
    opsets: HashMap<String, i64>,
}

impl From<proto::Function> for Function {
    fn from(function: proto::Function) -> Self {
        let without = function.attribute.into_iter().map(|name| (name, None));
        let with = function.attribute_proto.into_iter().map(|default| (default.name.clone(), Some(default)));
        let opsets = function.opset_import.into_iter().map(|opset| (domain(opset.domain), opset.version));
        Self {
            inputs: function.input,
            outputs: function.output,
            nodes: function.node,
            attributes: without.chain(with).collect(),
            opsets: opsets.collect(),
        }
    }
}

/// Inlines all calls. Opsets that only functions name are added to those of the model.
pub(crate) fn write_out(
    nodes: Vec<proto::Node>,
    functions: Vec<proto::Function>,
    opsets: &mut BTreeMap<String, i64>,
) -> Result<Vec<proto::Node>, Refusal> {
    if functions.is_empty() {
        return Ok(nodes);
    }
    let mut by_name: HashMap<Key, Function> = HashMap::new();
    for function in functions {
        let key = (domain(function.domain.clone()), function.name.clone(), function.overload.clone());
        let place = format!("function '{}' of {}", key.1, key.0);
        if by_name.insert(key, function.into()).is_some() {
            return Err(Refusal::new(place, "is in the file twice"));
        }
    }
    let mut writer =
        Writer { functions: &by_name, opsets, nodes: Vec::new(), calls: 0, made: Made::default() };
    nodes.into_iter().try_for_each(|node| writer.add(node, 0))?;
    Ok(writer.nodes)
}

struct Writer<'a> {
    functions: &'a HashMap<Key, Function>,
    opsets: &'a mut BTreeMap<String, i64>,
    /// The nodes written so far.
    nodes: Vec<proto::Node>,
    calls: usize,
    made: Made,
}

impl Writer<'_> {
    /// Adds a node or, if it is a call, the nodes of its body.
    fn add(&mut self, node: proto::Node, depth: usize) -> Result<(), Refusal> {
        let key = (domain(node.domain.clone()), node.op_type.clone(), node.overload.clone());
        let Some(function) = self.functions.get(&key) else {
            self.nodes.push(node);
            return Ok(());
        };
        let name = if node.name.is_empty() { String::new() } else { format!("node '{}', ", node.name) };
        let place = || format!("{name}function '{}' of {}", key.1, key.0);
        let body = self.body(function, &node, depth).map_err(|fault| Refusal::new(place(), fault))?;
        body.into_iter().try_for_each(|node| self.add(node, depth + 1))
    }

    /// The nodes of a call's body, which may contain calls.
    fn body(
        &mut self,
        function: &Function,
        call: &proto::Node,
        depth: usize,
    ) -> Result<Vec<proto::Node>, Fault> {
        if depth == DEPTH_MAX {
            refuse!(
                "is called by calls that stand {DEPTH_MAX} deep in each other; a function may not call itself"
            );
        }
        self.calls += 1;
        self.made.strings(function.inputs.len() + function.outputs.len())?;
        let call = Call::new(function, call, self.calls)?;
        let mut body = Vec::new();
        for node in &function.nodes {
            self.check_opset(function, node)?;
            body.push(call.write(node, &mut self.made)?);
        }
        for (given, made) in call.passed_on {
            let op_type = "Identity".into();
            body.push(proto::Node {
                input: vec![given],
                output: vec![made],
                op_type,
                ..proto::Node::default()
            });
        }
        Ok(body)
    }

    /// Refuses a body written for another opset than the graph if its operators might have another meaning there.
    fn check_opset(&mut self, function: &Function, node: &proto::Node) -> Result<(), Fault> {
        let domain = domain(node.domain.clone());
        let Some(&stated) = function.opsets.get(&domain) else { return Ok(()) };
        let version = *self.opsets.entry(domain).or_insert(stated);
        if version != stated {
            refuse!(
                "is written in opset {stated} and the model in opset {version}; write it out with the package onnx: \
                 onnx.inliner.inline_local_functions(model, convert_version=True)"
            );
        }
        Ok(())
    }
}

/// The totals of what all bodies have made.
#[derive(Default)]
struct Made {
    messages: usize,
    strings: usize,
    bytes: usize,
}

impl Made {
    fn messages(&mut self, more: usize) -> Result<(), Fault> {
        self.messages += more;
        self.check()
    }

    fn strings(&mut self, more: usize) -> Result<(), Fault> {
        self.strings += more;
        self.check()
    }

    fn bytes(&mut self, more: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(more);
        self.check()
    }

    fn check(&self) -> Result<(), Fault> {
        if self.messages > MESSAGES_MAX || self.strings > STRINGS_MAX || self.bytes > ONNX_BYTES_MAX {
            refuse!(
                "makes the model too large where functions are written out: more than {MESSAGES_MAX} nodes and attributes, \
                 {STRINGS_MAX} names or {} MiB",
                ONNX_BYTES_MAX >> 20
            );
        }
        Ok(())
    }
}

/// One call of a function.
struct Call<'a> {
    function: &'a Function,
    number: usize,
    node: &'a str,
    /// The outer names of inputs and outputs of the function; an omitted input has an empty name.
    outside: HashMap<&'a str, &'a str>,
    /// Inputs that are returned as outputs: their outer names as input and as output.
    passed_on: Vec<(String, String)>,
    attributes: HashMap<&'a str, &'a proto::Attribute>,
}

impl<'a> Call<'a> {
    fn new(function: &'a Function, node: &'a proto::Node, number: usize) -> Result<Self, Fault> {
        let Function { inputs, outputs, .. } = function;
        if node.input.len() > inputs.len() || node.output.len() > outputs.len() {
            refuse!(
                "is called with {} inputs and {} outputs; it has {} and {}",
                node.input.len(),
                node.output.len(),
                inputs.len(),
                outputs.len()
            );
        }
        let given = node.input.iter().map(String::as_str).chain(std::iter::repeat(""));
        let mut outside: HashMap<&str, &str> = inputs.iter().map(String::as_str).zip(given).collect();
        let mut passed_on = Vec::new();
        for (own, made) in outputs.iter().zip(&node.output).filter(|(_, made)| !made.is_empty()) {
            match outside.get(own.as_str()) {
                None => drop(outside.insert(own, made)),
                Some(&given) => passed_on.push((given.to_string(), made.clone())),
            }
        }
        if let Some(unknown) = node.attribute.iter().find(|it| !function.attributes.contains_key(&it.name)) {
            refuse!("is called with an attribute '{}', which it does not have", unknown.name);
        }
        let attributes = node.attribute.iter().map(|it| (it.name.as_str(), it)).collect();
        Ok(Self { function, number, node: &node.name, outside, passed_on, attributes })
    }

    /// A node of the body as it is written into the graph.
    fn write(&self, node: &proto::Node, made: &mut Made) -> Result<proto::Node, Fault> {
        let name = [self.node, &node.name].join("/");
        made.messages(1)?;
        made.bytes(name.len() + node.op_type.len() + node.domain.len() + node.overload.len())?;
        let texts = |names: &[String], made: &mut Made| -> Result<Vec<String>, Fault> {
            made.strings(names.len())?;
            names.iter().map(|name| self.outside(name, made)).collect()
        };
        let input = texts(&node.input, made)?;
        let output = texts(&node.output, made)?;
        let mut attribute = Vec::new();
        for own in &node.attribute {
            let Some(value) = self.attribute(own)? else { continue };
            let text = value.t.as_ref().map_or(0, |tensor| tensor.string_data.len());
            made.messages(2)?;
            made.strings(value.strings.len() + text)?;
            made.bytes(value.encoded_len() + own.name.len())?;
            attribute.push(proto::Attribute { name: own.name.clone(), ..value.clone() });
        }
        Ok(proto::Node {
            input,
            output,
            name: name.trim_matches('/').into(),
            op_type: node.op_type.clone(),
            attribute,
            domain: node.domain.clone(),
            overload: node.overload.clone(),
        })
    }

    /// The outer name of a value of the body.
    fn outside(&self, name: &str, made: &mut Made) -> Result<String, Fault> {
        let outside = match self.outside.get(name) {
            Some(&outside) => outside.to_string(),
            None if name.is_empty() => String::new(),
            None => format!("{name} of call {}", self.number),
        };
        made.bytes(outside.len())?;
        Ok(outside)
    }

    /// An attribute of a body's node: its own, or the one of the call that it refers to; `None` if the call omits that and there is no default.
    fn attribute<'b>(&'b self, own: &'b proto::Attribute) -> Result<Option<&'b proto::Attribute>, Fault> {
        let name = own.ref_attr_name.as_str();
        if name.is_empty() {
            return Ok(Some(own));
        }
        let Some(default) = self.function.attributes.get(name) else {
            refuse!("a node in it refers to an attribute '{name}', which it does not have");
        };
        Ok(self.attributes.get(name).copied().or(default.as_ref()))
    }
}
