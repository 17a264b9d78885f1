package setting

import (
	"fmt"
	"math"
)

// Interval holds the bounds of a number. NaN and infinities are never within them.
type Interval struct {
	low, high         float64
	openLow, openHigh bool // the bound itself is excluded
	notZero           bool
}

const largest = math.MaxFloat32

// The usual intervals.
var (
	AnyNumber         = Interval{low: -largest, high: largest}
	NotZero           = Interval{low: -largest, high: largest, notZero: true}
	NotNegative       = Interval{low: 0, high: largest}
	Positive          = Interval{low: 0, high: largest, openLow: true}
	ZeroToOne         = Interval{low: 0, high: 1}
	ZeroToBelowOne    = Interval{low: 0, high: 1, openHigh: true}
	AboveZeroToOne    = Interval{low: 0, high: 1, openLow: true}
	BetweenZeroAndOne = Interval{low: 0, high: 1, openLow: true, openHigh: true}
)

// AtLeast is the numbers from low upwards.
func AtLeast(low float64) Interval { return Interval{low: low, high: largest} }

// Range is the numbers from low to high, both included.
func Range(low, high float64) Interval { return Interval{low: low, high: high} }

// Contains reports whether x is within the bounds.
func (b Interval) Contains(x float64) bool {
	if math.IsNaN(x) || b.notZero && x == 0 {
		return false
	}
	return (x > b.low || x == b.low && !b.openLow) && (x < b.high || x == b.high && !b.openHigh)
}

// String describes the interval, such as "a number from 0 to below 1".
func (b Interval) String() string { return "a number" + b.bounds() }

// whole describes the whole numbers in the interval.
func (b Interval) whole() string {
	if b.high >= maxInt {
		b.high = largest
	}
	return "a whole number" + b.bounds()
}

func (b Interval) bounds() string {
	switch {
	case b.notZero:
		return " other than 0"
	case b == AnyNumber:
		return ""
	case b == BetweenZeroAndOne:
		return " between 0 and 1"
	case b == AboveZeroToOne:
		return " above 0, up to 1"
	case b.high == largest && b.openLow:
		return fmt.Sprintf(" above %g", b.low)
	case b.high == largest:
		return fmt.Sprintf(" from %g", b.low)
	case b.openHigh:
		return fmt.Sprintf(" from %g to below %g", b.low, b.high)
	}
	return fmt.Sprintf(" from %g to %g", b.low, b.high)
}
