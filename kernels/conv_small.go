package kernels

// ConvSmallShape describes the convolution and the pooling of conv_small.cu: images [H, W, InC], filters [OutC, KH, KW, InC], PadH
// and PadW zeros above and at the left, and pooled images [OutH, OutW, OutC].
type ConvSmallShape struct{ H, W, InC, OutC, KH, KW, PadH, PadW, OutH, OutW int }

// ConvSmallLaunch is the launch of a kernel of conv_small.cu.
type ConvSmallLaunch struct {
	Grid    Grid // X is the number of partial moments per channel
	Bands   int  // of all images
	Rows    int  // of the pooled image in a band, or for conv_small_data of the image
	Stride  int  // elements from pixel to pixel in shared memory
	Vector  bool // channels are taken four at a time
	Moments bool // a band is small enough for the moments
}

// MaxConvSmallChannels is the largest number of input channels for which a convolution with pooling is conv_small.cu's. On an H200,
// cuDNN's kernels for 1, 3 and 24 channels kept 1% to 44% of the multiprocessors busy, those for 64 channels and more up to 84%.
const MaxConvSmallChannels = 32

// MaxConvSmallBlocks is the largest Grid.X of these launches: two blocks per SM of an H100, which has 132. By their registers and their
// shared memory as many run at a time, and each lays out the filters once.
const MaxConvSmallBlocks = 264

// What conv_small.cu assumes.
const (
	convSmallGroup  = 64    // channels of a block
	convSmallUnits  = 64    // pixels of y that its warps take at a time
	convSmallShared = 23808 // elements of shared memory
	convSmallPairs  = 128   // of elements of a sum
)

// MaxConvSmallWhitened is the largest number of channels of a whitening layer whose output conv_small.cu computes as it needs it.
const MaxConvSmallWhitened = 24

// MaxConvSmallFilterBlocks is the largest number of blocks of conv_small_filter.
const MaxConvSmallFilterBlocks = 256

// What the gradients of conv_small.cu assume.
const (
	convSmallDataPixels   = 128   // of dx, of a block
	convSmallDataTiles    = 3     // of 8 channels of x
	convSmallDataChannels = 32    // of dz in shared memory
	convSmallDataStride   = 40    // elements from pixel to pixel of dz
	convSmallColumns      = 224   // elements of a filter
	convSmallFilterShared = 23552 // elements of shared memory of conv_small_filter
	convSmallPooled       = 112   // elements per pixel of dy, with its numbers
	convSmallFilterBands  = 16    // of a block at least: to write a block's sums and to add them up costs as much as some bands
)

// ConvSmallForwardLaunch returns the launch of conv_small_forward for up to this number of images. ok is false if the kernel doesn't take the shape: shared memory must
// hold the filters of 64 channels, and the rows of the image under one row of y.
func ConvSmallForwardLaunch(images int, s ConvSmallShape) (l ConvSmallLaunch, ok bool) {
	if s.InC > MaxConvSmallChannels || s.OutC%8 != 0 || s.PadH < 0 || s.PadW < 0 || s.PadW >= 2*s.OutW+s.KW-1 {
		return l, false
	}
	l.Vector = s.InC%4 == 0
	evenC := (s.InC + 1) &^ 1
	l.Stride = (evenC+2+3)/8*8 + 4 // 4 mod 8, and room for two zeros
	steps := divideUp(s.KH*s.KW*evenC, 16)
	room := convSmallShared - steps*16*convSmallGroup
	if 8*steps > convSmallPairs || room < convSmallUnits*convSmallGroup {
		return l, false
	}
	best, most := 0.0, max(1, convSmallUnits/s.OutW)
	for rows := 1; rows <= min(most, s.OutH); rows++ {
		if (2*rows+s.KH-1)*(2*s.OutW+s.KW-1)*l.Stride > room {
			break
		}
		// the share of the warps' pixels that exist
		if share := float64(s.OutH*s.OutW) / float64(divideUp(s.OutH, rows)*divideUp(rows*s.OutW, convSmallUnits)); share >= best {
			best, l.Rows = share, rows
		}
	}
	if l.Rows == 0 {
		return l, false
	}
	l.Bands = images * divideUp(s.OutH, l.Rows)
	groups := divideUp(s.OutC, convSmallGroup)
	l.Grid = Grid{min(l.Bands, max(1, MaxConvSmallBlocks/groups)), groups}
	l.Moments = l.Rows*s.OutW <= convSmallUnits
	return l, true
}

// ConvSmallDataLaunch returns the launch of conv_small_data for up to this number of images. ok is false if the kernel doesn't take the shape: shared memory must
// hold all filters, and the gradient under one row.
func ConvSmallDataLaunch(images int, s ConvSmallShape) (l ConvSmallLaunch, ok bool) {
	if s.InC%2 != 0 || s.InC > 8*convSmallDataTiles || s.OutC%8 != 0 {
		return l, false
	}
	steps := 2 * s.KH * s.KW * divideUp(s.OutC, convSmallDataChannels)
	room := convSmallShared - steps*convSmallDataTiles*128
	perImage := 0
	for rows := 1; rows <= s.H && rows*s.W <= convSmallDataPixels && (rows+s.KH-1)*(s.W+s.KW-1)*convSmallDataStride <= room; rows++ {
		if n := divideUp(s.H, rows); perImage == 0 || n < perImage {
			perImage, l.Rows = n, rows
		}
	}
	l.Bands = images * perImage
	l.Grid = Grid{min(l.Bands, MaxConvSmallBlocks), 1}
	return l, perImage > 0
}

// ConvSmallFilterLaunch returns the launch of conv_small_filter for up to this number of images, and for 1 or 2 sums per element: one
// with x, one with the slopes of a whitening layer. Grid.X is the number of partial sums. ok is false if the kernel doesn't take the
// shape.
func ConvSmallFilterLaunch(images, sums int, s ConvSmallShape) (l ConvSmallLaunch, ok bool) {
	l, ok = ConvSmallForwardLaunch(images, s)
	if !ok || s.KH*s.KW*s.InC > convSmallColumns {
		return l, false
	}
	l.Grid.Y *= sums
	l.Grid.X = min(divideUp(l.Bands, convSmallFilterBands), max(1, MaxConvSmallFilterBlocks/l.Grid.Y))
	pixels := divideUp(l.Rows*s.OutW, 4) * 4
	return l, pixels*convSmallPooled+(2*l.Rows+s.KH-1)*(2*s.OutW+s.KW-1)*l.Stride <= convSmallFilterShared
}

// ConvSmallFinishGrid returns the grid of conv_small_finish for n elements of the filters' gradient.
func ConvSmallFinishGrid(n int) Grid {
	checkCount("ConvSmallFinishGrid", n)
	return Grid{divideUp(n, 64), 1}
}
