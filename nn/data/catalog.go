package data

// remoteFile is a file that can be downloaded.
type remoteFile struct {
	name   string
	size   int64
	sha256 string
	urls   []string // mirrors, in the order in which they are tried
}

// catalog holds the sources of data sets.
type catalog struct {
	cifar10       remoteFile
	cifar100      remoteFile
	fashion       [4]remoteFile // in the order of idxNames
	systemFashion string        // folder of Debian's package dataset-fashion-mnist
}

// newCatalog returns the official files and their mirrors.
func newCatalog() catalog {
	return catalog{cifar10: cifar10File(), cifar100: cifar100File(), fashion: fashionFiles(), systemFashion: "/usr/share/datasets/fashion-mnist"}
}
