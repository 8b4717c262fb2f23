/* delete - DELETE /kv/<key>. */
#include "api/handlers.h"

#include "api/key_write.h"

void delete_key(struct request *request)
{
    struct key_write *erasure = key_write_new(request);

    if (erasure == NULL)
        return;
    erasure->write.next.tombstone = true;
    key_write_submit(erasure);
}
