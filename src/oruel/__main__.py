"""python -m oruel"""

from oruel.cli import main

if __name__ == "__main__":
    main()
