package reference

import "trainer/nn/device"

// Cast returns the elements, converted as a CastSpec says: the number itself, or for Uint8 number*Scale + Shift,
// rounded to the nearest number of the type.
func Cast(s device.CastSpec, elements []byte) []byte {
	if s.From != device.Uint8 {
		return Round(s.To, Unpack(s.From, elements))
	}
	numbers := make([]float64, len(elements))
	for i, x := range elements {
		numbers[i] = float64(x)*float64(s.Scale) + float64(s.Shift)
	}
	return Round(s.To, numbers)
}

type cast struct {
	*Operations
	s device.CastSpec
}

// NewCast makes a plan of a conversion.
func (o *Operations) NewCast(s device.CastSpec) (device.Cast, error) {
	require("cast", s.Len > 0, "%+v", s)
	require("cast", s.To != device.Int32 && s.To != device.Uint8 && s.From != device.Int32, "from %v to %v", s.From, s.To)
	return made[device.Cast](o, "cast", cast{o, s}, nil)
}

func (p cast) Run(dst, src *device.Tensor) {
	const op = "cast"
	n := device.CheckUpTo(op, "src", src, p.s.From, p.s.Len)
	device.CheckLen(op, "dst", dst, p.s.To, n)
	if p.begin(op) {
		p.storeBytes(op, dst, Cast(p.s, p.bytes(src)))
	}
}

type castList struct {
	*Operations
	s device.CastListSpec
}

// NewCastList makes a plan of the conversion of a list.
func (o Mixed) NewCastList(s device.CastListSpec) (device.CastList, error) {
	const op = "cast list"
	require(op, len(s.Dst) == len(s.Src), "%d destinations for %d sources", len(s.Dst), len(s.Src))
	for i, dst := range s.Dst {
		require(op, (dst.DType() == device.Float32) != (s.Src[i].DType() == device.Float32), "from %v to %v", s.Src[i], dst)
		require(op, dst.DType() == s.Dst[0].DType(), "to %v and %v", dst, s.Dst[0])
		device.CheckLen(op, "source", s.Src[i], s.Src[i].DType(), dst.Len())
	}
	return made[device.CastList](o.Operations, op, castList{o.Operations, s}, nil)
}

func (p castList) Run() {
	const op = "cast list"
	if !p.begin(op) {
		return
	}
	for i, dst := range p.s.Dst {
		p.store(op, dst, p.load(p.s.Src[i]))
	}
}
