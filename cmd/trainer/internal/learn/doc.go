// Package learn answers the questions of the page's Learn part about one network: its values, its gradients, where a number
// comes from, a step and its undoing. It knows nothing of HTTP, so that a page without a server can use it too: a question is
// an action with bytes, and an answer is bytes.
package learn
