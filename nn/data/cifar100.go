package data

import "context"

func cifar100Kind(cat catalog) SetKind {
	return SetKind{
		Name: "cifar100", TrainImages: 50_000, Doc: "50,000 + 10,000 photographs of 100 classes, 32x32 colour (data.labels = \"coarse\": 20 superclasses)",
		ImageShape: [3]int{32, 32, 3}, Recipe: "cifar10",
		Open: func(ctx context.Context, opt Options) (*Dataset, error) {
			return openCIFAR(ctx, "cifar100", cat.cifar100, opt)
		},
	}
}

// cifar100File is the archive.
func cifar100File() remoteFile {
	return remoteFile{
		name:   "cifar-100-binary.tar.gz",
		size:   169001437,
		sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
		urls:   []string{"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
	}
}
