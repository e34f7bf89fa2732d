/* SPDX-License-Identifier: GPL-2.0 */
/* Giving up what lies in a swap file (see discard.c). */
#ifndef BALLAST_STORE_DISCARD_H
#define BALLAST_STORE_DISCARD_H

#include <linux/types.h>

struct file;
struct inode;

void ballast_discard(struct file *file, struct inode *inode, loff_t bytes, bool created);

#endif /* BALLAST_STORE_DISCARD_H */
