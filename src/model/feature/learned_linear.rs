//! Linear layers that can be learned through quickly.

use candle_core::{Module as _, Result, Tensor};
use candle_nn::Linear;

/// `[rows, in] -> [rows, out]`, as the layer's own forward pass, up to rounding where it learns.
///
/// candle multiplies with the transposed weight, and turns that one's gradient back number by number. Here the rows are
/// transposed, which are few, and the gradient comes out as the weight lies.
pub fn forward_rows(layer: &Linear, xs: &Tensor) -> Result<Tensor> {
    let weight = layer.weight();
    if !weight.track_op() {
        return layer.forward(xs);
    }
    let product = weight.matmul(&xs.t()?)?.t()?.contiguous()?;
    match layer.bias() {
        Some(bias) => product.broadcast_add(bias),
        None => Ok(product),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_candles_own() {
        let random = |shape: &[usize]| {
            let values: Vec<f32> =
                (0..shape.iter().product()).map(|at| (at as f32 * 0.61 + shape[0] as f32).sin()).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let [weight, bias, xs] =
            [[7, 5].as_slice(), &[7], &[3, 5]].map(|shape| Var::from_tensor(&random(shape)).unwrap());
        let layer = Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()));
        let [theirs, ours] = [layer.forward(&xs).unwrap(), forward_rows(&layer, &xs).unwrap()];
        let far =
            |a: &Tensor, b: &Tensor| (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(far(&theirs, &ours) < 1e-5);
        let weights = random(&[3, 7]);
        let gradients = [theirs, ours].map(|out| (out * &weights).unwrap().sum_all().unwrap().backward().unwrap());
        for of in [&weight, &bias, &xs] {
            let [theirs, ours] = gradients.each_ref().map(|gradients| gradients.get(of).unwrap());
            assert!(far(theirs, ours) < 1e-5);
        }
    }
}
