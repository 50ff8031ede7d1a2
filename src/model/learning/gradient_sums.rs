//! Gradients of several examples, summed where they were computed.

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};

/// A sum for each of some variables.
#[derive(Debug)]
pub struct GradientSums {
    variables: Vec<Var>,
    sums: Vec<Option<Tensor>>,
}

impl GradientSums {
    /// For these variables, in this order.
    pub fn new(variables: Vec<Var>) -> Self {
        let sums = vec![None; variables.len()];
        Self { variables, sums }
    }

    /// Adds what a graph found for the variables in it.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn add(&mut self, found: &GradStore) -> Result<()> {
        for (variable, sum) in self.variables.iter().zip(&mut self.sums) {
            let Some(gradient) = found.get(variable) else { continue };
            let gradient = gradient.detach().to_dtype(DType::F32)?;
            *sum = Some(match sum.take() {
                Some(sum) => (sum + gradient)?,
                // A gradient can share its numbers with the graph.
                None => gradient.copy()?,
            });
        }
        Ok(())
    }

    /// The variables, in their order.
    pub fn variables(&self) -> &[Var] {
        &self.variables
    }

    /// The sums, one for each variable; `None` where nothing was added.
    pub fn sums(&self) -> &[Option<Tensor>] {
        &self.sums
    }

    /// The length of all sums together, as one vector.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn norm(&self) -> Result<f64> {
        let squares = self.sums.iter().flatten().map(square_sum);
        Ok(squares.sum::<Result<f64>>()?.sqrt())
    }

    /// Forgets the sums.
    pub fn clear(&mut self) {
        self.sums.fill(None);
    }
}

/// In double precision on a CPU.
fn square_sum(tensor: &Tensor) -> Result<f64> {
    if !tensor.device().is_cpu() {
        return Ok(f64::from(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?));
    }
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum())
}
