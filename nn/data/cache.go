package data

import "cmp"

// Decoding a photograph takes longer than a step needs it for, so its pixels, in the size of the set, are kept in memory
// as far as Options.Cache allows: those of the first images, training images before the others. An epoch visits every
// image once, in an order that differs from epoch to epoch, so that no other choice would save more decoding.

// cacheBytes returns the bytes of pixels that may be kept, and all the memory of pictures.
func (opt *Options) cacheBytes() (cache, limit int64) {
	limit = opt.maxMemory()
	cache = cmp.Or(opt.Cache, limit/4*3)
	return max(0, cache), max(limit, cache+limit/4)
}

// divideMemory decides of how many images the pixels are kept, and leaves the rest of the memory for decoding, which must
// suffice for the largest picture.
func (f *folder) divideMemory(p *parts) {
	n, largest := 0, int64(0)
	for _, images := range p.all() {
		n += len(*images)
		for _, im := range *images {
			largest = max(largest, f.reader.memory(im.info))
		}
	}
	cache, limit := f.opt.cacheBytes()
	if largest <= limit {
		cache = min(cache, limit-largest)
	}
	size := int64(f.imageLen())
	f.keep = int(min(int64(n), cache/size))
	f.reader.decoding = newPictureMemory(limit - int64(f.keep)*size)
}

// imageLen returns the number of bytes of an image.
func (f *folder) imageLen() int { return f.reader.h * f.reader.w * f.reader.c }
