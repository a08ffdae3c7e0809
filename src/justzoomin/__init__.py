"""Say where a street photo was taken, from the photo and an overhead map alone."""
