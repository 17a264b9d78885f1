// scaling.cuh: the state of loss scaling, float32 [4] on the device. Gradients in float16 underflow below
// 2^-24, so the loss is multiplied by a scale before the backward pass, and the gradients by the inverse of
// the scale after it (Micikevicius et al., "Mixed Precision Training", ICLR 2018). scaling.cu adjusts it.
// Kernels take a pointer to the state; if it is null, the scale is 1.
#pragma once

#define SCALE 0        // the number that the loss is multiplied by
#define INVERSE_SCALE 1
#define SKIP 2         // 1 if the gradients are not finite: weights and states stay as they are
#define GOOD_STEPS 3   // steps with finite gradients since the scale last changed
