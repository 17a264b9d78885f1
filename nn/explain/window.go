package explain

import "trainer/nn/device"

// Sliding is a window that slides over an image [h w c].
type Sliding struct {
	Rows, Columns device.WindowAxis
	InC           int
}

// position says where a window is, which of its elements is meant, and which pixel lies under that, in one direction.
type position struct{ output, element, pixel int }

// positions calls yield for each combination in one direction; Any leaves a number open. At least one is given.
func positions(a device.WindowAxis, at position, yield func(position)) {
	outputs := a.Positions()
	for element := range a.Kernel {
		if at.element != Any && at.element != element {
			continue
		}
		from := element*a.Dilation - a.Before // pixel under the element at output 0
		first, last := 0, outputs-1
		switch {
		case at.output != Any:
			first, last = at.output, at.output
		case at.pixel != Any:
			distance := at.pixel - from
			if distance < 0 || distance%a.Stride != 0 || distance/a.Stride > last {
				continue
			}
			first, last = distance/a.Stride, distance/a.Stride
		}
		for output := first; output <= last; output++ {
			pixel := output*a.Stride + from
			if pixel >= 0 && pixel < a.Size && (at.pixel == Any || at.pixel == pixel) {
				yield(position{output, element, pixel})
			}
		}
	}
}

// triple splits the index of an element of an image [h w c] of the given width and channels. Any gives Any.
func triple(index, w, c int) (row, column, channel int) {
	if index == Any {
		return Any, Any, Any
	}
	return index / (w * c), index / c % w, index % c
}

// window returns what the window covers at an output (i, j).
func (s Sliding) window(i, j, channel, channels int) Window {
	return Window{
		Top: i*s.Rows.Stride - s.Rows.Before, Left: j*s.Columns.Stride - s.Columns.Before,
		Rows: s.Rows.Kernel, Columns: s.Columns.Kernel, DilationH: s.Rows.Dilation, DilationW: s.Columns.Dilation,
		Channel: channel, Channels: channels,
	}
}

// Convolution is the window of a convolution with filters [outC, kH, kW, inC/groups].
type Convolution struct {
	Sliding
	OutC, Groups int
}

// Products are the convolution's: see Linear.
func (v Convolution) Products(at Product, yield func(Product)) {
	inGroup, outGroup := v.InC/v.Groups, v.OutC/v.Groups
	outW := v.Columns.Positions()
	i, j, o := triple(at.Output, outW, v.OutC)
	p, q, c := triple(at.Input, v.Columns.Size, v.InC)
	a, b := Any, Any
	if at.Weight != Any {
		row := at.Weight / inGroup
		o, a, b = row/(v.Rows.Kernel*v.Columns.Kernel), row/v.Columns.Kernel%v.Rows.Kernel, row%v.Columns.Kernel
		c = o/outGroup*inGroup + at.Weight%inGroup
	}
	positions(v.Rows, position{i, a, p}, func(r position) {
		positions(v.Columns, position{j, b, q}, func(s position) {
			for group := range v.Groups {
				v.channels(group, o, c, func(o, c int) {
					yield(Product{
						Output: (r.output*outW+s.output)*v.OutC + o,
						Input:  (r.pixel*v.Columns.Size+s.pixel)*v.InC + c,
						Weight: ((o*v.Rows.Kernel+r.element)*v.Columns.Kernel+s.element)*inGroup + c - group*inGroup,
					})
				})
			}
		})
	})
}

// channels calls yield for each pair of an output and an input channel of a group; Any leaves one of them open.
func (v Convolution) channels(group, o, c int, yield func(o, c int)) {
	inGroup, outGroup := v.InC/v.Groups, v.OutC/v.Groups
	if o != Any && o/outGroup != group || c != Any && c/inGroup != group {
		return
	}
	firstO, lastO, firstC, lastC := group*outGroup, group*outGroup+outGroup-1, group*inGroup, group*inGroup+inGroup-1
	if o != Any {
		firstO, lastO = o, o
	}
	if c != Any {
		firstC, lastC = c, c
	}
	for o := firstO; o <= lastO; o++ {
		for c := firstC; c <= lastC; c++ {
			yield(o, c)
		}
	}
}

// Transposed are the products of the transposed convolution, whose inputs are the convolution's outputs.
func (v Convolution) Transposed(at Product, yield func(Product)) {
	at.Output, at.Input = at.Input, at.Output
	v.Products(at, func(p Product) {
		p.Output, p.Input = p.Input, p.Output
		yield(p)
	})
}

// Window returns what the window of an output covers.
func (v Convolution) Window(output int) Window {
	i, j, o := triple(output, v.Columns.Positions(), v.OutC)
	inGroup := v.InC / v.Groups
	return v.window(i, j, o/(v.OutC/v.Groups)*inGroup, inGroup)
}

// Pooling is the window of a pooling, which takes each channel by itself.
type Pooling struct{ Sliding }

// Candidates calls yield for each pair of an output and an input of its window: see Maximum.
func (v Pooling) Candidates(output, input int, yield func(output, input int)) {
	outW := v.Columns.Positions()
	i, j, c := triple(output, outW, v.InC)
	p, q, inC := triple(input, v.Columns.Size, v.InC)
	if c == Any {
		c = inC
	}
	positions(v.Rows, position{i, Any, p}, func(r position) {
		positions(v.Columns, position{j, Any, q}, func(s position) {
			yield((r.output*outW+s.output)*v.InC+c, (r.pixel*v.Columns.Size+s.pixel)*v.InC+c)
		})
	})
}

// Means are the products of average pooling. size returns the number by which the sum of a window is divided.
func (v Pooling) Means(size func(i, j int) int) func(at Product, yield func(Product)) {
	outW := v.Columns.Positions()
	return func(at Product, yield func(Product)) {
		v.Candidates(at.Output, at.Input, func(output, input int) {
			i, j, _ := triple(output, outW, v.InC)
			yield(Product{Output: output, Input: input, Weight: Any, Factor: 1 / float64(size(i, j))})
		})
	}
}

// Window returns what the window of an output covers.
func (v Pooling) Window(output int) Window {
	i, j, c := triple(output, v.Columns.Positions(), v.InC)
	return v.window(i, j, c, 1)
}

// Scaled are the products of a layer whose output k is a constant times its input k.
func Scaled(factor float64) func(at Product, yield func(Product)) {
	return func(at Product, yield func(Product)) {
		yield(Product{Output: index(at), Input: index(at), Weight: Any, Factor: factor})
	}
}

// index returns the output or the input that is given.
func index(at Product) int {
	if at.Output != Any {
		return at.Output
	}
	return at.Input
}
