/* SPDX-License-Identifier: GPL-2.0 */
/* Giving shared pages back to each of their owners. */
#ifndef BALLAST_SHARING_UNSHARE_H
#define BALLAST_SHARING_UNSHARE_H

#include "../memory/pool.h"

int ballast_unshare(struct ballast_pool *pool, bool everything);
bool ballast_unshare_fits(struct ballast_pool *pool,
			  enum ballast_sharing_mode mode);
bool ballast_unshare_all_fits(void);

#endif /* BALLAST_SHARING_UNSHARE_H */
