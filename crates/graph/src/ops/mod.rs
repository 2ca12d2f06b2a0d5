//! The operators: one file per family, one entry per operator in the list.

mod activation;
mod arithmetic;
mod arrange;
mod attention;
mod cast;
mod compare;
mod constant;
mod conv;
mod conv_transpose;
mod cumulative;
mod einsum;
mod features;
mod gemm;
mod labels;
mod linear;
mod link;
mod norm;
mod part;
mod pick;
mod pool;
mod quantised;
mod recurrent;
mod reduce;
mod regroup;
mod reshape;
mod resize;
mod several;
mod sizes;
mod softmax;
mod trees;
mod window;

pub use window::Axis;

use crate::error::{Fault, refuse};
use crate::operator::{Built, Site};
use crate::source::Node;

type Build = fn(&mut Site<'_>) -> Result<Built, Fault>;

/// The domain of classical machine learning.
const ML: &str = "ai.onnx.ml";

/// Domain, operator, and the function that builds it.
const ALL: &[(&str, &str, Build)] = &[
    // Elementwise functions of one number.
    ("", "Abs", activation::unary_numeric),
    ("", "Acos", activation::unary),
    ("", "Acosh", activation::unary),
    ("", "Asin", activation::unary),
    ("", "Asinh", activation::unary),
    ("", "Atan", activation::unary),
    ("", "Atanh", activation::unary),
    ("", "Ceil", activation::unary),
    ("", "Celu", activation::unary),
    ("", "Clip", activation::clip),
    ("", "Cos", activation::unary),
    ("", "Cosh", activation::unary),
    ("", "Elu", activation::unary),
    ("", "Erf", activation::unary),
    ("", "Exp", activation::unary),
    ("", "Floor", activation::unary),
    ("", "Gelu", activation::unary),
    ("", "HardSigmoid", activation::unary),
    ("", "HardSwish", activation::unary),
    ("", "LeakyRelu", activation::unary),
    ("", "Log", activation::unary),
    ("", "Neg", activation::unary_numeric),
    ("", "Reciprocal", activation::unary),
    ("", "Relu", activation::unary),
    ("", "Round", activation::unary),
    ("", "Selu", activation::unary),
    ("", "Sigmoid", activation::unary),
    ("", "Sign", activation::unary),
    ("", "Sin", activation::unary),
    ("", "Sinh", activation::unary),
    ("", "Softplus", activation::unary),
    ("", "Softsign", activation::unary),
    ("", "Sqrt", activation::unary),
    ("", "Tan", activation::unary),
    ("", "Tanh", activation::unary),
    // Elementwise functions of two numbers.
    ("", "Add", arithmetic::arithmetic),
    ("", "Div", arithmetic::arithmetic),
    ("", "Mod", arithmetic::modulo),
    ("", "Mul", arithmetic::arithmetic),
    ("", "PRelu", arithmetic::prelu),
    ("", "Pow", arithmetic::pow),
    ("", "Sub", arithmetic::arithmetic),
    // Elementwise functions of any number of values.
    ("", "Max", several::several),
    ("", "Mean", several::several),
    ("", "Min", several::several),
    ("", "Sum", several::several),
    // Joining, permuting and repeating axes.
    ("", "Concat", arrange::concat),
    ("", "Expand", arrange::expand),
    ("", "Tile", arrange::tile),
    ("", "Transpose", arrange::transpose),
    // Conversions to another kind of number.
    ("", "Cast", cast::cast),
    ("", "DequantizeLinear", quantised::dequantise),
    ("", "QuantizeLinear", quantised::quantise),
    // Comparisons and logic.
    ("", "And", compare::join),
    ("", "Equal", compare::compare),
    ("", "Greater", compare::compare),
    ("", "GreaterOrEqual", compare::compare),
    ("", "IsInf", compare::special),
    ("", "IsNaN", compare::special),
    ("", "Less", compare::compare),
    ("", "LessOrEqual", compare::compare),
    ("", "Not", compare::not),
    ("", "Or", compare::join),
    ("", "Where", compare::choose),
    ("", "Xor", compare::join),
    // Values that do not depend on events.
    ("", "Constant", constant::constant),
    ("", "ConstantOfShape", constant::of_shape),
    ("", "Range", constant::range),
    ("", "Shape", constant::shape),
    // Matrix products.
    ("", "Einsum", einsum::einsum),
    ("", "Gemm", gemm::gemm),
    ("", "MatMul", gemm::matmul),
    // Parts of an axis.
    ("", "Gather", part::gather),
    ("", "GatherElements", pick::elements),
    ("", "Slice", part::slice),
    ("", "Split", part::split),
    ("", "TopK", pick::top_k),
    // Recurrence and attention.
    ("", "Attention", attention::attention),
    ("", "GRU", recurrent::recurrent),
    ("", "LSTM", recurrent::recurrent),
    ("", "RNN", recurrent::recurrent),
    // Sums up to each number of an axis.
    ("", "CumSum", cumulative::cumulative_sum),
    // Axes reduced to one number.
    ("", "ArgMax", reduce::arg),
    ("", "ArgMin", reduce::arg),
    ("", "ReduceL1", reduce::reduce),
    ("", "ReduceL2", reduce::reduce),
    ("", "ReduceLogSum", reduce::reduce),
    ("", "ReduceLogSumExp", reduce::reduce),
    ("", "ReduceMax", reduce::reduce),
    ("", "ReduceMean", reduce::reduce),
    ("", "ReduceMin", reduce::reduce),
    ("", "ReduceProd", reduce::reduce),
    ("", "ReduceSum", reduce::reduce),
    ("", "ReduceSumSquare", reduce::reduce),
    // The same numbers in another shape.
    ("", "Dropout", reshape::dropout),
    ("", "Flatten", regroup::flatten),
    ("", "Identity", reshape::identity),
    ("", "Reshape", regroup::reshape),
    ("", "Squeeze", reshape::squeeze),
    ("", "Unsqueeze", reshape::unsqueeze),
    // Classical machine learning.
    (ML, "ArrayFeatureExtractor", features::extractor),
    (ML, "Binarizer", features::binarizer),
    (ML, "FeatureVectorizer", features::vectorizer),
    (ML, "Imputer", features::imputer),
    (ML, "LabelEncoder", labels::encoder),
    (ML, "LinearClassifier", linear::classifier),
    (ML, "LinearRegressor", linear::regressor),
    (ML, "Normalizer", features::normalizer),
    (ML, "OneHotEncoder", labels::one_hot),
    (ML, "Scaler", features::scaler),
    (ML, "TreeEnsemble", trees::ensemble),
    (ML, "TreeEnsembleClassifier", trees::classifier),
    (ML, "TreeEnsembleRegressor", trees::regressor),
    (ML, "ZipMap", labels::zip_map),
    // Windows on images.
    ("", "AveragePool", pool::average_pool),
    ("", "Conv", conv::conv),
    ("", "ConvTranspose", conv_transpose::conv_transpose),
    ("", "GlobalAveragePool", pool::global_pool),
    ("", "GlobalMaxPool", pool::global_pool),
    ("", "MaxPool", pool::max_pool),
    ("", "Resize", resize::resize),
    ("", "Upsample", resize::upsample),
    // Normalisation.
    ("", "BatchNormalization", norm::batch_normalization),
    ("", "GroupNormalization", norm::group_normalization),
    ("", "InstanceNormalization", norm::instance_normalization),
    ("", "LayerNormalization", norm::layer_normalization),
    ("", "MeanVarianceNormalization", reduce::mean_variance),
    ("", "RMSNormalization", norm::rms_normalization),
    // Along an axis.
    ("", "Hardmax", softmax::softmax),
    ("", "LogSoftmax", softmax::softmax),
    ("", "Softmax", softmax::softmax),
];

/// Every supported operator: domain (empty for the ONNX ones) and name.
pub const OPERATORS: [(&str, &str); ALL.len()] = {
    let mut names = [("", ""); ALL.len()];
    let mut index = 0;
    while index < ALL.len() {
        names[index] = (ALL[index].0, ALL[index].1);
        index += 1;
    }
    names
};

/// Oldest and newest supported opset of a domain.
fn opsets(domain: &str) -> (i64, i64) {
    if domain == ML { (1, 5) } else { (6, 26) }
}

/// Finds the function that builds a node; if there is none, the fault says what to do.
pub(crate) fn find(node: &Node, opset: Option<i64>) -> Result<Build, Fault> {
    let found = ALL.iter().find(|(domain, name, _)| *domain == node.domain && *name == node.operator);
    let Some((domain, _, build)) = found else {
        refuse!("this operator is not supported; {}", remedy(node));
    };
    let Some(opset) = opset else {
        refuse!("the file states no opset for this domain; export it again");
    };
    let (oldest, newest) = opsets(domain);
    if !(oldest..=newest).contains(&opset) {
        refuse!("opset {opset} is not supported; export with one between {oldest} and {newest}");
    }
    Ok(*build)
}

fn remedy(node: &Node) -> &'static str {
    match (node.domain.as_str(), node.operator.as_str()) {
        (ML, "SVMClassifier" | "SVMRegressor") => {
            "support vector machines are not supported yet; use trees or a dense network"
        }
        (_, "If" | "Loop" | "Scan") => {
            "control flow has no place in a batch; export the model with it unrolled or traced"
        }
        ("qonnx.custom_op.general" | "onnx.brevitas" | "finn.custom_op.general", _) => {
            "quantisation-aware operators (QONNX) are not supported yet; export the float model"
        }
        (
            "",
            "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform"
            | "RandomUniformLike",
        ) => {
            "it makes random numbers, with which an event would get another score each time; export the mean that is sampled around"
        }
        (_, "ConvInteger" | "DynamicQuantizeLinear" | "MatMulInteger" | "QLinearConv" | "QLinearMatMul") => {
            "it multiplies integers; quantise the model with QuantizeLinear and DequantizeLinear instead (ONNX Runtime: quantize_static with \
             QuantFormat.QDQ)"
        }
        ("" | ML, _) => {
            "replace it in the model by operators that are (the list: crates/graph/CONFORMANCE.md)"
        }
        _ => "operators of this domain are private to a framework; export with standard ONNX operators",
    }
}
