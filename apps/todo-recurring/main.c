#include "recurring/part.h"

int main(int argc, char **argv)
{
    return worker_main(&recurring_spec, argc, argv);
}
